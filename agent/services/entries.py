"""The bodies of a sale's journal entries, built in one place so that both halves always find the same fields.

The one rule: a body says everything that explains it later (promise 6), and nothing personal.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.decision import Decision
from agent.core.journal import Draft, Head, Kind
from agent.core.situation import Sale

CODE_DIGEST_BYTES = 8
AUTHORIZATION_CODE_CHARS = 6
RULES_MAX = 100
"""As many rules as a policy has; an entry is bounded whatever a backend answers."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to put a sale on credit: the order, the scanned code, and what of the pass is known."""

    lender: str
    sale: Sale
    number: int
    capture: str
    code: str
    scanned_at: int
    account: bytes | None = None
    cti: bytes | None = None

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
            "code": code_digest(self.code),
        }


def code_digest(code: str) -> bytes:
    """By which a repeated request is told from a new attempt; the code itself is never stored."""
    return hashlib.sha256(code.encode()).digest()[:CODE_DIGEST_BYTES]


def authorization_code(head: Head) -> str:
    """Six characters for a stand-in approval, from the place in the journal that it is about to take."""
    seed = f"{head.lane}/{head.epoch}/{head.number + 1}".encode() + head.hash
    return base64.b32encode(hashlib.sha256(seed).digest()).decode()[:AUTHORIZATION_CODE_CHARS]


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
        },
    )


def stand_in(
    attempt: Attempt, decision: Decision, head: Head, *, lease_epoch: int | None, online_unknown: bool
) -> Draft:
    """What the lane decided alone: an authorization or a decline."""
    explained = attempt.body() | {
        "response_code": decision.response_code,
        "reason": decision.reason,
        "rules": [[fired.rule_id, fired.effect, fired.outcome] for fired in decision.fired],
        "policy_version": decision.policy_version,
        "snapshot_sequence": decision.snapshot_sequence,
        "clock_source": decision.clock_source,
        "online_unknown": online_unknown,
    }
    if not decision.approved:
        return attempt.named(Kind.DECLINE, explained)
    by_lease = decision.funding == "lease"
    return attempt.named(
        Kind.AUTHORIZATION,
        explained
        | {
            "authorization_code": authorization_code(head),
            "funding": decision.funding,
            "lease": {"epoch": lease_epoch, "delta_minor": decision.spend_minor} if by_lease else None,
        },
    )


def refusal(attempt: Attempt, reason: str, response_code: str, *, clock_source: str, online_unknown: bool) -> Draft:
    """A decline for which no rule was asked: an unreadable pass, a used proof, an interrupted attempt."""
    return attempt.named(
        Kind.DECLINE,
        attempt.body()
        | {
            "response_code": response_code,
            "reason": reason,
            "rules": [],
            "policy_version": None,
            "snapshot_sequence": None,
            "clock_source": clock_source,
            "online_unknown": online_unknown,
        },
    )


def capture(attempt: Attempt) -> Draft:
    amount = attempt.sale.amount
    return attempt.named(Kind.CAPTURE, {"amount_minor": amount.minor, "currency": amount.currency})
