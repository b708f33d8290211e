"""The bodies of a sale's journal entries, built in one place so that both halves always find the same fields.

The one rule: a body says everything that explains it later (promise 6), and nothing personal.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.core import cbor
from agent.core.authorization import Hold
from agent.core.decision import Decision
from agent.core.disclosure import Choice
from agent.core.journal import Draft, Head, Kind
from agent.core.money import Money
from agent.core.replay import explained
from agent.core.situation import Sale, Situation
from agent.core.slip_refund import SlipRefund
from agent.ports import PrintJob
from agent.services.offers import Chosen

CODE_DIGEST_BYTES = 8
AUTHORIZATION_CODE_CHARS = 6
RULES_MAX = 100
"""As many rules as a policy has; an entry is bounded whatever a backend answers."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an attempt is declined without a rule being asked; ``response_code`` is ISO 8583 field 39."""

    reason: str
    response_code: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to put a sale on credit: the sale, the digest of the scanned code, and what of the pass is known."""

    lender: str
    sale: Sale
    number: int
    capture: str
    digest: bytes | None
    scanned_at: int
    account: bytes | None = None
    cti: bytes | None = None
    plan: Choice | None = None

    @classmethod
    def of(cls, hold: Hold) -> Attempt:
        """The attempt of a stored hold, as far as its outcome's entry needs it."""
        sale = Sale(hold.sale_id, Money(hold.amount_minor, hold.currency), "")
        return cls(hold.lender, sale, hold.attempt, hold.capture, hold.code, 0, hold.account, plan=plan_of(hold))

    def is_answered_by(self, answer: Mapping[str, Any], debit_minor: int) -> bool:
        """An answer that contradicts its question is no answer: the outcome is then unknown."""
        if not answer["approved"]:
            return True
        approved, used = answer.get("amount"), answer.get("lease_used_minor", 0)
        return approved == self.sale.amount.to_wire() and type(used) is int and 0 <= used <= debit_minor

    def named(self, kind: Kind, body: Mapping[str, Any]) -> Draft:
        return Draft(kind, body, self.lender, self.sale.sale_id, self.number)

    def body(self) -> dict[str, Any]:
        return {
            "amount_minor": self.sale.amount.minor,
            "currency": self.sale.amount.currency,
            "category": self.sale.merchant_category,
            "capture": self.capture,
            "account": self.account,
            "cti": self.cti,
            "code": self.digest,
            "plan": self.plan.to_body() if self.plan else None,
        }


def plan_of(hold: Hold) -> Choice | None:
    """What the customer chose; None: no instalments."""
    return Choice.of_body(cbor.decode(hold.plan)) if hold.plan else None


def plan_id(hold: Hold) -> str | None:
    chosen = plan_of(hold)
    return chosen.plan_id if chosen else None


def code_digest(code: str) -> bytes:
    """By which a repeated request is told from a new attempt; the code itself is never stored."""
    return hashlib.sha256(code.encode()).digest()[:CODE_DIGEST_BYTES]


def authorization_code(head: Head) -> str:
    """Six characters for a stand-in approval, from the place in the journal that it is about to take."""
    seed = f"{head.lane}/{head.epoch}/{head.number + 1}".encode() + head.hash
    return base64.b32encode(hashlib.sha256(seed).digest()).decode()[:AUTHORIZATION_CODE_CHARS]


def disclosure(attempt: Attempt, chosen: Chosen, chosen_at: int) -> Draft:
    """What the customer was shown and chose; on the disk before anybody is asked to lend."""
    facts = attempt.body()
    return attempt.named(
        Kind.DISCLOSURE,
        {name: facts[name] for name in ("amount_minor", "currency", "category", "capture", "account")}
        | {
            "policy_version": chosen.policy_version,
            "statement": chosen.statement.encode(),
            "coupon": chosen.coupon,
            "language": chosen.language,
            "shown_at": chosen.shown_at,
            "chosen_at": chosen_at,
        },
    )


def intent(attempt: Attempt, lease: Mapping[str, int] | None) -> Draft:
    return attempt.named(
        Kind.ONLINE_INTENT, attempt.body() | {"scanned_at": attempt.scanned_at, "lease": dict(lease) if lease else None}
    )


def online_outcome(attempt: Attempt, answer: Mapping[str, Any], lease_epoch: int | None) -> Draft:
    """The backend's answer in full; what it used of the lease is spent now, the rest of the debit is free again."""
    used = answer["lease_used_minor"] if answer["approved"] else 0
    return attempt.named(
        Kind.ONLINE_OUTCOME,
        attempt.body()
        | {
            "approved": answer["approved"],
            "response_code": answer["response_code"],
            "reason": answer["reason"],
            "rules": list(answer.get("rules", ()))[:RULES_MAX],
            "policy_version": answer.get("policy_version"),
            "authorization_code": answer.get("authorization_code"),
            "lease": {"epoch": lease_epoch, "delta_minor": used} if used and lease_epoch is not None else None,
            "expires_at": None,
        },
    )


def stand_in(
    attempt: Attempt,
    situation: Situation,
    decision: Decision,
    head: Head,
    *,
    lease_epoch: int | None,
    online_unknown: bool,
) -> Draft:
    """What the lane decided alone: an authorization or a decline, and the situation from which it follows again."""
    body = attempt.body() | explained(decision)
    body |= {"situation": situation.kept(), "online_unknown": online_unknown}
    if not decision.approved:
        return attempt.named(Kind.DECLINE, body)
    by_lease = decision.funding == "lease"
    return attempt.named(
        Kind.AUTHORIZATION,
        body
        | {
            "authorization_code": authorization_code(head),
            "lease": {"epoch": lease_epoch, "delta_minor": decision.spend_minor} if by_lease else None,
            "expires_at": None,
        },
    )


def decline(attempt: Attempt, refusal: Refusal, *, clock_source: str, online_unknown: bool) -> Draft:
    """A decline for which no rule was asked: an unreadable pass, a used proof, an interrupted attempt."""
    return attempt.named(
        Kind.DECLINE,
        attempt.body()
        | {
            "response_code": refusal.response_code,
            "reason": refusal.reason,
            "rules": [],
            "policy_version": None,
            "snapshot_sequence": None,
            "clock_source": clock_source,
            "situation": None,
            "online_unknown": online_unknown,
        },
    )


def ending(draft: Draft, expires_at: int) -> Draft:
    """An approval that waits for its capture until ``expires_at`` (UTC seconds)."""
    return replace(draft, body={**draft.body, "expires_at": expires_at})


def capture(
    hold: Hold, amount_minor: int | None = None, *, final: bool = True, request: str | None = None, frees: bool = False
) -> Draft:
    """All that is held, or ``amount_minor`` of it, becomes a debt; a final one releases the rest. ``frees``: what the
    rest took belongs to a lease that is still open (rule 9)."""
    captured_minor = hold.held_minor if amount_minor is None else amount_minor
    rest_minor = hold.held_minor - captured_minor if final else 0
    body = {"final": final, "request": request} | _restoring(hold, rest_minor, frees=frees)
    return _after(hold, Kind.CAPTURE, captured_minor, body)


def reversal(hold: Hold, reason: str, *, frees: bool) -> Draft:
    """What is held is released; ``frees`` as for a capture."""
    return _after(
        hold, Kind.REVERSAL, hold.held_minor, {"reason": reason} | _restoring(hold, hold.held_minor, frees=frees)
    )


def expiry(hold: Hold) -> Draft:
    """What is held has ended by itself. It restores nothing at the lane (rule 9)."""
    return _after(hold, Kind.EXPIRY, hold.held_minor, {})


def void(hold: Hold, reason: str) -> Draft:
    """A captured sale is undone on its own business day."""
    return _after(hold, Kind.VOID, hold.captured_minor, {"reason": reason})


def refund(hold: Hold, amount_minor: int, reason: str, request: str) -> Draft:
    """Some of what was captured here is given back."""
    return _after(hold, Kind.REFUND, amount_minor, {"reason": reason, "request": request})


def slip_refund_intent(refund: SlipRefund) -> Draft:
    return Draft(Kind.REFUND_INTENT, _of_slip(refund), refund.lender)


def slip_refund_outcome(refund: SlipRefund, attempt: int | None, refusal: Refusal | None) -> Draft:
    """What became of it; ``refusal`` None: approved, and ``attempt`` then says which of the sale's it is."""
    code, reason = (refusal.response_code, refusal.reason) if refusal else ("00", "refunded")
    said = {"attempt": attempt, "approved": refusal is None, "response_code": code, "reason": reason}
    return Draft(Kind.REFUND_OUTCOME, _of_slip(refund) | said, refund.lender)


def _of_slip(refund: SlipRefund) -> dict[str, Any]:
    return {name: getattr(refund, name) for name in ("amount_minor", "currency", "lane", "sale_id", "request")}


def _restoring(hold: Hold, rest_minor: int, *, frees: bool) -> dict[str, Any]:
    """What of ``rest_minor`` the lease had paid goes back to it; available credit is used up first."""
    restored_minor = min(hold.lease_minor, rest_minor)
    if not frees or restored_minor <= 0:
        return {}
    return {"account": hold.account, "lease": {"epoch": hold.lease_epoch, "delta_minor": -restored_minor}}


def _after(hold: Hold, kind: Kind, amount_minor: int, body: Mapping[str, Any]) -> Draft:
    money = {"amount_minor": amount_minor, "currency": hold.currency}
    return Draft(kind, {**money, **body}, hold.lender, hold.sale_id, hold.attempt)


def printed(job: PrintJob, rung: str, *, is_copy: bool) -> Draft:
    """The sale's slip is on paper; ``rung`` says how sure that is."""
    body = {"job_id": job.job_id, "rung": rung, "copy": is_copy}
    return Draft(Kind.PRINT, body, job.slip.lender, job.slip.sale_id, job.slip.attempt)


def lease_request(lender: str, account: bytes, left_minor: int) -> Draft:
    """So little is left of the account's lease that the lane asks for more of it."""
    return Draft(Kind.LEASE_REQUEST, {"account": account, "left_minor": left_minor}, lender)


def lease_return(lender: str, account: bytes, lease_epoch: int, amount_minor: int) -> Draft:
    """Lease rule 8: a part of the account's lease goes back to the backend."""
    lease = {"epoch": lease_epoch, "delta_minor": amount_minor}
    return Draft(Kind.LEASE_RETURN, {"account": account, "lease": lease}, lender)
