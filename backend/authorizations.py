"""Online authorization: the backend's answer to one attempt of a sale, once.

The one rule: an attempt has one answer. The same request gets the same bytes again, another request under its key is
a conflict, and what the lane has decided meanwhile is declined (lease rules 5, 6 and 7).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final

from agent.core import credit_pass
from agent.core.authorization import HoldState
from agent.core.coupons import REASONS as COUPON_REASONS
from agent.core.credit_pass import CreditPass, PassRejected
from agent.core.decision import RESPONSE_CODES
from backend import accounts, coupons, holds, instalments, moves, places, rules
from backend.answer_codes import Approval
from backend.database import inserting, load, put, selecting
from backend.holds import Attempt
from backend.lenders import Lender
from backend.places import Site
from backend.problems import Problem
from backend.rules import Shown
from backend.schema import Account, OnlineAnswer, UsedProof
from backend.wire import Amount, AuthorizationRequest, LeaseDebit, rfc3339, write

APPROVED: Final = "00"

DECLINES: Final[dict[str, str]] = {
    "account_unknown": "14",
    **{reason: RESPONSE_CODES[reason] for reason in ("account_blocked", "currency_mismatch")},
    "limit_exceeded": "51",
    "proof_replayed": "59",
    "tombstoned": "94",
    "plan_unknown": "12",
    "plan_not_offered": "57",
    "plan_changed": "12",
    **dict.fromkeys(COUPON_REASONS, "12"),
    "coupon_expired": "54",
    "coupon_used": "94",
    "code_expired": "54",
}
"""Text key of a reason to its response code (ISO 8583 field 39). Those of a pass are in ``core.credit_pass``, those of
a step-up in the policy; what a lane that stands in refuses too has its code."""


# Compiled once: these are on the path of every sale.
_FIND_ANSWER = selecting(
    OnlineAnswer, OnlineAnswer.lane == "", OnlineAnswer.lender == "", OnlineAnswer.sale_id == "",
    OnlineAnswer.attempt == 0,
)  # fmt: skip
_ANSWER = inserting(OnlineAnswer)
FIND_PROOF = selecting(UsedProof, UsedProof.account == b"", UsedProof.lender == "", UsedProof.cti == b"")
_USE_PROOF = inserting(UsedProof)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is answered, before it is written; ``rules`` are the ids of the policy rules that fired."""

    response_code: str
    reason: str
    rules: tuple[str, ...] = ()
    lease_used_minor: int = 0
    code: str | None = None

    @property
    def is_approved(self) -> bool:
        return self.response_code == APPROVED


class _Declined(Exception):
    """A reason that ends the decision early; it never leaves this module."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


def authorize(
    request: AuthorizationRequest,
    raw: bytes,
    lane: str,
    *,
    lender: Lender,
    now_s: int,
) -> bytes:
    """The answer's bytes. To be called inside a transaction. Raises Problem("idempotency_conflict").

    ``raw`` is the request's body: "same request" means the same bytes. Its epoch is the lane's current one: a debit
    of a lease of another epoch counts for nothing.
    """
    key = Attempt(lane, request.lender, request.sale_id, request.attempt)
    request_hash = hashlib.sha256(raw).digest()
    check_same(key, request_hash)
    before = stored(key)
    if before is not None:
        return bytes(before.answer)
    return keep(key, request_hash, _decide(request, key, lender, now_s), lender, request.amount, now_s=now_s)


def check_same(key: Attempt, request_hash: bytes) -> None:
    """Raises Problem("idempotency_conflict") if the attempt was answered to another request."""
    before = stored(key)
    if before is not None and before.request_hash not in (holds.TOMBSTONE, request_hash):
        raise Problem("idempotency_conflict", f"attempt {key.attempt} of {key.sale_id}")


def keep(
    key: Attempt,
    request_hash: bytes,
    verdict: Verdict,
    lender: Lender,
    amount: Amount,
    *,
    now_s: int,
    payer: bytes | None = None,
) -> bytes:
    """The answer's bytes, kept for whoever asks again. ``payer``: whose app paid, where the lane has seen no pass."""
    members = _members(
        verdict,
        lender.policy.version,
        now_s,
        verdict.code,
        amount.model_dump() if verdict.is_approved else None,
    )
    answer = write(members | ({"account": payer.hex()} if payer is not None else {}))
    put(OnlineAnswer, _ANSWER, asdict(key) | {"request_hash": request_hash, "answer": answer})
    return answer


def stored(key: Attempt) -> OnlineAnswer | None:
    """What was answered to the attempt, or stands in the place of any answer."""
    return load(OnlineAnswer, _FIND_ANSWER, key.lane, key.lender, key.sale_id, key.attempt)


@lru_cache(maxsize=16)
def tombstone(policy_version: int, now_s: int) -> bytes:
    """The answer to a request that comes after the lane's own decision."""
    return write(_members(declined("tombstoned"), policy_version, now_s, None, None))


def declined(reason: str) -> Verdict:
    return Verdict(DECLINES[reason], reason)


def _decide(request: AuthorizationRequest, key: Attempt, lender: Lender, now_s: int) -> Verdict:
    site = places.of_lane(key.lane)
    try:
        account = _checked(request, key, lender, site, now_s)
    except _Declined as refused:
        return refused.verdict
    if request.plan is not None:
        try:
            instalments.check_online(request, lender, bytes(account.token), key, now_s)
        except coupons.PlanRefused as refused:
            return declined(refused.reason)
    lease = request.lease
    debit = lease if lease and lease.epoch == request.epoch else LeaseDebit(epoch=request.epoch, debit_minor=0)
    return _funded(account, request.amount.minor, debit, key, lender, now_s=now_s)


def judge(account: Account, shown: Shown, key: Attempt, lender: Lender, now_s: int, *, epoch: int) -> Verdict:
    """The verdict about an account that pays by its lender's own app: it stands for itself, and no lease pays."""
    if account.blocked:
        return declined("account_blocked")
    try:
        _check_rules(account, shown, lender, places.of_lane(key.lane), now_s)
    except _Declined as refused:
        return refused.verdict
    return _funded(account, shown.amount_minor, LeaseDebit(epoch=epoch, debit_minor=0), key, lender, now_s=now_s)


def _funded(
    account: Account, amount_minor: int, debit: LeaseDebit, key: Attempt, lender: Lender, *, now_s: int
) -> Verdict:
    """The last question: whether available credit and the lane's debit pay for it."""
    funding = holds.hold_online(holds.find(key), account, amount_minor, debit.debit_minor, epoch=debit.epoch)
    if not funding.approved:
        return declined("limit_exceeded")
    moves.note_sale(key, bytes(account.token), now_s, amount_minor, places.of_lane(key.lane).place)
    used = funding.from_lease_minor
    code = Approval(key, bytes(account.token), amount_minor, used).code(lender)
    return Verdict(APPROVED, "approved", lease_used_minor=used, code=code)


def _checked(request: AuthorizationRequest, key: Attempt, lender: Lender, site: Site, now_s: int) -> Account:
    """The account that is to pay, when nothing but its credit is left to ask."""
    scanned = _verified(request, lender, now_s)
    account = accounts.find(lender.lender, scanned.credential.account)
    checks = (
        (account is None, "account_unknown"),
        (request.amount.currency != lender.currency, "currency_mismatch"),
        (account is not None and account.blocked, "account_blocked"),
        # The intent may have arrived by journal first; anything further means that the lane has decided.
        (holds.find(key).state not in (HoldState.NONE, HoldState.INTENDED), "tombstoned"),
        (holds.is_sold_otherwise(key), "tombstoned"),
        (not consume_proof(scanned.credential.account, scanned.proof.cti, key), "proof_replayed"),
    )
    for fails, reason in checks:
        if fails:
            raise _Declined(declined(reason))
    assert account is not None
    credential, verified = scanned.credential, scanned.proof.user_verified
    of_pass = (credential.tier, verified, credential.cap_minor, credential.purpose_bound)
    _check_rules(account, Shown(request.amount.minor, request.category, *of_pass), lender, site, now_s)
    return account


def _verified(request: AuthorizationRequest, lender: Lender, now_s: int) -> CreditPass:
    """The pass, by this clock: lanes' clocks lie. A proof may be as old as the policy lets a sale keep it bound."""
    limits = lender.policy.limits
    try:
        return credit_pass.verify(
            request.pass_code or "",
            {lender.lender: lender.key_list},
            scanned_at=now_s,
            freshness_s=limits.proof_fresh_s + limits.proof_bound_s,
            tolerance_s=limits.proof_tolerance_s,
        )
    except PassRejected as rejected:
        raise _Declined(Verdict(rejected.response_code, f"pass.{rejected.reason}")) from None


def consume_proof(account: bytes, cti: bytes, key: Attempt) -> bool:
    """Whether the proof is this sale's: never seen before, or bound to the same sale at the same lane."""
    row = load(UsedProof, FIND_PROOF, account, key.lender, cti)
    if row is not None:
        return (row.lane, row.sale_id) == (key.lane, key.sale_id)
    proof = {"account": account, "lender": key.lender, "cti": cti, "lane": key.lane, "sale_id": key.sale_id}
    put(UsedProof, _USE_PROOF, proof)
    return True


def _known(account: Account, lender: Lender, category: str, site: Site, now_s: int) -> rules.Known:
    """What the books say of the account's doings up to now, and its way to the lane's store."""
    token = bytes(account.token)
    recent = moves.recent(lender.lender, token, lender.policy, category, now_s)
    seen = moves.last_seen(lender.lender, token, now_s) if site.place else None
    return rules.Known(recent, site, seen, now_s)


def _check_rules(account: Account, shown: Shown, lender: Lender, site: Site, now_s: int) -> None:
    """The policy's rules that are not about standing in."""
    spoken = rules.speak(shown, account, lender.policy, _known(account, lender, shown.category, site, now_s))
    rule = rules.answering(spoken)
    if rule is not None:
        raise _Declined(Verdict(rule.response_code, rule.reason, tuple(each.id for each in spoken)))


def _members(
    verdict: Verdict, policy_version: int, now_s: int, code: str | None, amount: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "approved": verdict.is_approved,
        "response_code": verdict.response_code,
        "reason": verdict.reason,
        "rules": list(verdict.rules),
        "policy_version": policy_version,
        "authorization_code": code,
        "amount": amount,
        "lease_used_minor": verdict.lease_used_minor,
        "decided_at": rfc3339(now_s),
    }
