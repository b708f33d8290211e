"""The story of a sale: a scanned code becomes a decision that is durable before anybody sees it.

The one rule: ``record`` comes before ``return``. Whatever this file answers is already on the disk, and what is on
the disk is what it answers, however often it is asked.

One sale at a time: a lane has one cashier, and the lease arithmetic reads, decides and writes in one go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from agent.core import credit_pass, leases
from agent.core.authorization import Hold, HoldState
from agent.core.classify import classify
from agent.core.credit_pass import CreditPass, ParsedPass, PassRejected
from agent.core.decision import RESPONSE_CODES, Decision, decide
from agent.core.journal import Draft, Position
from agent.core.money import Money
from agent.core.policy import Policy
from agent.core.situation import Clock, Exposure, LeaseView, Sale, SnapshotView
from agent.core.snapshot_layer import SnapshotError
from agent.core.snapshot_reader import Found
from agent.core.trusted_time import ClockReading
from agent.errors import IdempotencyConflict, UplinkRefused, UplinkUnavailable
from agent.ports import AttemptUnknown, Backend, Ledger, Slip
from agent.services import entries
from agent.services.entries import Attempt, Refusal
from agent.services.lenders import Lender, Lenders
from agent.services.timekeeping import LaneClock

LOG: Final = logging.getLogger(__name__)
INTERRUPTED: Final = Refusal("interrupted", "68")
"""An attempt whose outcome nobody knows after a restart (ISO 8583 field 39: response received too late)."""
NOT_A_PASS: Final = Refusal("not_a_pass", "12")
WALLET: Final = Refusal("wallet_online_only", "57")
REPLAYED: Final = Refusal("proof_replayed", "94")
CLOCK_UNTRUSTED: Final = Refusal("clock_untrusted", RESPONSE_CODES["clock_untrusted"])
SNAPSHOT_MISSING: Final = Refusal("snapshot_missing", RESPONSE_CODES["snapshot_missing"])
NOT_BY_THIS_LANE: Final = "91"
"""ISO 8583 field 39, issuer inoperative: what ends standing in and has no code of its own."""
DATED: Final = ("54", "91")
"""Codes of passes that are refused for a date: the pass's own, or the key list's."""
INQUIRY_BUDGET_S: Final = 3.0
LINK_WAIT_S: Final = 3.0
LINK_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Order:
    """What the POS asks for: put this amount on credit. ``capture`` is ``at_once`` or ``later``."""

    sale_id: str
    amount: Money
    merchant_category: str
    capture: str = "at_once"


@dataclass(frozen=True, slots=True)
class Settings:
    """``online_budget_s`` is the configured bound; the policy may only shorten it."""

    lane: str
    store: str
    online_budget_s: float


@dataclass(frozen=True, slots=True)
class _Case:
    """An attempt with all that is known about it before it is decided.

    ``verified`` is the pass, or why it is none; ``fault`` is why its account cannot be looked up. ``judged``: the pass
    was verified in full, by a trusted clock. Only the backend may approve one that was not.
    """

    attempt: Attempt
    code: str
    lender: Lender
    reading: ClockReading
    verified: CreditPass | Refusal
    found: Found | None = None
    fault: Refusal | None = None
    judged: bool = False


SlipMaker = Callable[[Hold, ClockReading], Slip | None]


class Checkout:
    """Puts sales on credit. ``make_slip`` turns an approved hold into what is printed (None: nothing)."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        lenders: Lenders,
        clock: LaneClock,
        backend: Backend,
        *,
        make_slip: SlipMaker,
        may_stand_in: Callable[[], str | None],
        announce: Callable[[Hold], None],
    ) -> None:
        self._settings, self._ledger, self._lenders = settings, ledger, lenders
        self._clock, self._backend = clock, backend
        self._make_slip, self._may_stand_in, self._announce = make_slip, may_stand_in, announce
        self._turn = asyncio.Lock()

    async def sell(self, order: Order, code: str) -> Hold:
        """Decide one attempt. The same sale and code give the same answer; another code after a decline is a new
        attempt. Raises IdempotencyConflict for a known sale id with other content, and ledger faults."""
        async with self._turn:
            for interrupted in self._ledger.attempts(order.sale_id):
                if interrupted.state is HoldState.INTENDED:
                    await self._resolve(interrupted)
            known = self._known(order, code)
            if known is not None:
                return known
            case = self._open_case(order, code)
            refused = self._refused_at_sight(case)
            if refused is not None:
                return self._conclude(case, refused)
            return await self._decide(case)

    async def resolve_interrupted(self) -> int:
        """After a restart: ask what became of every open intent, and close it. Returns how many there were."""
        async with self._turn:
            holds = self._ledger.open_intents()
            for hold in holds:
                await self._resolve(hold)
            return len(holds)

    async def capture(self, sale_id: str) -> Hold | None:
        """Turn an authorized hold into a debt. None: there is nothing to capture; repeating it changes nothing."""
        async with self._turn:
            hold = self._last_approved(sale_id)
            if hold is None or hold.state is not HoldState.AUTHORIZED:
                return hold
            return self._change(hold, entries.capture(hold))

    async def reverse(self, sale_id: str, reason: str) -> Hold | None:
        """Undo an authorized hold before its capture; what it took of a still open lease is free again (rule 9)."""
        async with self._turn:
            hold = self._last_approved(sale_id)
            if hold is None or hold.state is not HoldState.AUTHORIZED:
                return hold
            lender = self._lenders.get(hold.lender)
            still_open = lender and lender.stack and lender.stack.newest.lease_epoch == hold.lease_epoch
            frees_lease = bool(hold.lease_minor and still_open)
            return self._change(hold, entries.reversal(hold, reason, frees_lease=frees_lease))

    def attempts(self, order: Order) -> tuple[Hold, ...]:
        """The attempts that this very sale already has. Raises IdempotencyConflict when its id stands for another."""
        attempts = self._ledger.attempts(order.sale_id)
        if attempts:
            first = self._ledger.sale_entries(order.sale_id)[0].entry.body
            asked = (order.amount.minor, order.amount.currency, order.merchant_category, order.capture)
            if asked != tuple(first[name] for name in ("amount_minor", "currency", "category", "capture")):
                raise IdempotencyConflict(f"sale {order.sale_id} had another amount, category or capture before")
        return attempts

    # -- before the decision -----------------------------------------------------------------------------------

    def _known(self, order: Order, code: str) -> Hold | None:
        """The answer that this sale already has; None when it needs a (new) attempt."""
        attempts = self.attempts(order)
        if not attempts or attempts[-1].state is not HoldState.DECLINED:
            return attempts[-1] if attempts else None
        digest = entries.code_digest(code)
        return next((hold for hold in attempts if hold.code == digest), None)

    def _open_case(self, order: Order, code: str) -> _Case:
        """Read the code as far as it can be trusted. Freshness is judged here, at the moment of the scan."""
        parsed = _parsed(code)
        known = None if isinstance(parsed, Refusal) else self._lenders.get(parsed.credential.lender)
        lender = known or self._lenders.first
        reading = self._clock.read(lender.lender)
        sale = Sale(order.sale_id, order.amount, order.merchant_category)
        number, digest = len(self._ledger.attempts(order.sale_id)) + 1, entries.code_digest(code)
        attempt = Attempt(lender.lender, sale, number, order.capture, digest, reading.now_s)
        verified = parsed if isinstance(parsed, Refusal) else self._verify(parsed, reading, lender.policy)
        if isinstance(verified, Refusal):
            return _Case(attempt, code, lender, reading, verified)
        attempt = replace(attempt, account=verified.credential.account, cti=verified.proof.cti)
        found, fault = _lookup(lender, verified.credential.account)
        return _Case(attempt, code, lender, reading, verified, found, fault, judged=reading.trusted)

    def _verify(self, parsed: ParsedPass, reading: ClockReading, policy: Policy | None) -> CreditPass | Refusal:
        limits = policy.limits if policy else None
        try:
            return credit_pass.check(
                parsed,
                self._lenders.trust,
                scanned_at=reading.now_s,
                freshness_s=limits.proof_fresh_s if limits else credit_pass.FRESHNESS_S,
                tolerance_s=limits.proof_tolerance_s if limits else credit_pass.TOLERANCE_S,
            )
        except PassRejected as rejected:
            if not reading.trusted and rejected.response_code in DATED:
                # An untrusted clock cannot judge a date: the backend, with its own clock, still may.
                return CreditPass(parsed.credential, parsed.proof, parsed.kid)
            return _refusal_of(rejected)

    def _refused_at_sight(self, case: _Case) -> Draft | None:
        """Refusals that need neither the backend nor a rule."""
        refusal: Refusal | None = None
        kind = classify(case.code.encode()).kind
        if kind.startswith("wallet_"):
            refusal = WALLET
        elif kind != "credit_pass":
            refusal = NOT_A_PASS
        elif isinstance(case.verified, Refusal):
            refusal = case.verified
        elif self._ledger.proof_is_consumed(case.verified.credential.account, case.verified.proof.cti):
            refusal = REPLAYED
        if refusal is None:
            return None
        return entries.decline(case.attempt, refusal, clock_source=case.reading.source, online_unknown=False)

    # -- the decision ------------------------------------------------------------------------------------------

    async def _decide(self, case: _Case) -> Hold:
        if not self._backend.available:
            return self._stand_in(case, debit_minor=0, online_unknown=False)
        lease = self._reserve(case)
        self._ledger.record([entries.intent(case.attempt, lease)], case.reading)
        debit_minor = lease["debit_minor"] if lease else 0
        try:
            answer = await self._backend.authorize(self._request(case, lease), self._budget_s(case))
        except UplinkUnavailable:
            return self._stand_in(case, debit_minor=debit_minor, online_unknown=False)
        except UplinkRefused as refused:
            # Safe whichever way the backend meant it: the lane's journaled outcome wins (rule 6).
            LOG.warning("the backend refuses to decide: %s", refused.message, extra={"code": refused.code})
            answer = None
        if answer is None or not case.attempt.is_answered_by(answer, debit_minor):
            return self._stand_in(case, debit_minor=debit_minor, online_unknown=True)
        return self._conclude(case, entries.online_outcome(case.attempt, answer, lease["epoch"] if lease else None))

    def _reserve(self, case: _Case) -> dict[str, int] | None:
        """Rule 5: what of the lease this online request may use, debited before it leaves."""
        view = self._lease_view(case, reserved_minor=0)
        spendable = (
            view
            and case.reading.trusted
            and leases.is_spendable(
                view.valid_until_s, now_s=case.reading.now_s, horizon_s=self._ledger.head.lease_horizon
            )
        )
        if not view or not spendable:
            return None
        debit = leases.debit_for_intent(case.attempt.sale.amount.minor, view.remaining_minor)
        return {"epoch": view.epoch, "debit_minor": debit} if debit else None

    def _stand_in(self, case: _Case, *, debit_minor: int, online_unknown: bool) -> Hold:
        """Decide alone. Time has passed since the scan: the clock is read again, the proof stays bound to the sale."""
        reading = self._clock.read(case.lender.lender)
        case = _with_newest_layers(case)
        refusal = self._refused_alone(case)
        if refusal is not None:
            draft = entries.decline(case.attempt, refusal, clock_source=reading.source, online_unknown=online_unknown)
            return self._conclude(case, draft, reading)
        view = self._lease_view(case, reserved_minor=debit_minor)
        decision = self._ask_rules(case, view, reading)
        draft = entries.stand_in(
            case.attempt,
            decision,
            self._ledger.head,
            lease_epoch=view.epoch if view else None,
            online_unknown=online_unknown,
        )
        return self._conclude(case, draft, reading)

    def _refused_alone(self, case: _Case) -> Refusal | None:
        """Refusals of standing in for which no rule needs to be asked."""
        limit = self._may_stand_in()
        if limit is not None:
            return Refusal(limit, RESPONSE_CODES.get(limit, NOT_BY_THIS_LANE))
        return case.fault or (None if case.judged else CLOCK_UNTRUSTED)

    def _ask_rules(self, case: _Case, lease: LeaseView | None, reading: ClockReading) -> Decision:
        assert isinstance(case.verified, CreditPass), "anything else is refused at sight"
        lender, policy, verified = case.lender, case.lender.policy, case.verified
        horizon_s = self._ledger.head.lease_horizon
        clock = Clock(reading.now_s, reading.trusted, reading.source, horizon_s)
        exposure = self._exposure(lender, policy, verified.credential.account, lease, reading.now_s)
        return decide(case.attempt.sale, verified, _snapshot_view(lender, case.found), exposure, policy, clock)

    def _exposure(
        self, lender: Lender, policy: Policy | None, account: bytes, lease: LeaseView | None, now_s: int
    ) -> Exposure:
        if policy is None:
            return Exposure(lease)
        limits, totals = policy.limits, self._ledger.stand_in_totals
        return Exposure(
            lease,
            account=totals(lender.lender, "account", account, now_s - limits.account_window_s),
            lane=totals(lender.lender, "lane", b"", now_s - limits.lane_window_s),
            cap=totals(lender.lender, "cap", account, now_s - limits.cap_window_s),
        )

    def _lease_view(self, case: _Case, *, reserved_minor: int) -> LeaseView | None:
        """The lease of the scanned account, net of all spends and of the open debits of other sales."""
        if case.found is None or case.found.record.removed or case.attempt.account is None:
            return None
        record, manifest = case.found.record, case.found.manifest
        applied = manifest.applied_through.get(self._settings.lane, (0, 0))
        spent = self._ledger.spent_after(case.attempt.lender, case.attempt.account, Position(*applied))
        debits = self._ledger.open_debits(case.attempt.lender, case.attempt.account) - reserved_minor
        left = leases.remaining(record.allowance_minor, spent, debits)
        return LeaseView(manifest.lease_epoch, left, record.valid_until_s, reserved_minor)

    # -- the record --------------------------------------------------------------------------------------------

    def _conclude(self, case: _Case, draft: Draft, reading: ClockReading | None = None) -> Hold:
        """Record the outcome, with the capture and the slip that go with it; only then is it visible."""
        attempt = case.attempt
        before = next(
            (hold for hold in self._ledger.attempts(attempt.sale.sale_id) if hold.attempt == attempt.number),
            Hold(attempt.lender, attempt.sale.sale_id, attempt.number),
        )
        return self._record_outcome(before, draft, reading or self._clock.read(attempt.lender))

    def _record_outcome(self, before: Hold, draft: Draft, reading: ClockReading) -> Hold:
        hold, drafts = before.apply(draft.kind, draft.body), [draft]
        if hold.is_approved and hold.capture == "at_once":
            capture = entries.capture(hold)
            drafts.append(capture)
            hold = hold.apply(capture.kind, capture.body)
        slip = self._make_slip(hold, reading) if hold.is_approved else None
        self._ledger.record(drafts, reading, slip=slip)
        self._backend.poke()
        self._announce(hold)
        return hold

    def _change(self, hold: Hold, draft: Draft) -> Hold:
        changed = hold.apply(draft.kind, draft.body)
        self._ledger.record([draft], self._clock.read(hold.lender))
        self._backend.poke()
        self._announce(changed)
        return changed

    async def _resolve(self, hold: Hold) -> Hold:
        """Close an intent that was open at a restart: inquire first; what nobody can confirm is declined, and that
        outcome wins (rule 6)."""
        answer = await self._inquire(hold)
        attempt, reading = Attempt.of(hold), self._clock.read(hold.lender)
        if isinstance(answer, Mapping) and attempt.is_answered_by(answer, hold.open_debit_minor):
            draft = entries.online_outcome(attempt, answer, hold.lease_epoch)
        else:
            draft = entries.decline(attempt, INTERRUPTED, clock_source=reading.source, online_unknown=True)
        return self._record_outcome(hold, draft, reading)

    async def _inquire(self, hold: Hold) -> Mapping[str, Any] | AttemptUnknown | None:
        """What the backend knows of an attempt. After a restart the line needs a moment: it is given one."""
        for _ in range(int(LINK_WAIT_S / LINK_LOOK_S)):
            if self._backend.available:
                break
            await asyncio.sleep(LINK_LOOK_S)
        try:
            return await self._backend.inquire(hold.lender, hold.sale_id, hold.attempt, INQUIRY_BUDGET_S)
        except (UplinkUnavailable, UplinkRefused):
            return None

    def _last_approved(self, sale_id: str) -> Hold | None:
        holds = self._ledger.attempts(sale_id)
        return next((hold for hold in reversed(holds) if hold.state is not HoldState.DECLINED), None)

    def _budget_s(self, case: _Case) -> float:
        policy = case.lender.policy
        by_policy = policy.limits.online_budget_ms / 1000 if policy else self._settings.online_budget_s
        return min(by_policy, self._settings.online_budget_s)

    def _request(self, case: _Case, lease: Mapping[str, int] | None) -> dict[str, Any]:
        attempt, head = case.attempt, self._ledger.head
        return {
            "lender": attempt.lender,
            "sale_id": attempt.sale.sale_id,
            "attempt": attempt.number,
            "epoch": head.epoch,
            "intent_number": head.number,
            "amount": attempt.sale.amount.to_wire(),
            "pass": case.code,
            "scanned_at": datetime.fromtimestamp(attempt.scanned_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "category": attempt.sale.merchant_category,
            "capture": attempt.capture,
            "lease": dict(lease) if lease else None,
        }


def _parsed(code: str) -> ParsedPass | Refusal:
    try:
        return credit_pass.parse(code)
    except PassRejected as rejected:
        return _refusal_of(rejected)


def _refusal_of(rejected: PassRejected) -> Refusal:
    return Refusal(f"pass.{rejected.reason}", rejected.response_code)


def _with_newest_layers(case: _Case) -> _Case:
    """The case as the layers now in force see it. While the backend was asked, a snapshot may have been installed and
    told to it; from then on the older layer's lease may be granted to another lane (rule 2)."""
    if case.attempt.account is None:
        return case
    found, fault = _lookup(case.lender, case.attempt.account)
    return replace(case, found=found, fault=fault)


def _lookup(lender: Lender, account: bytes) -> tuple[Found | None, Refusal | None]:
    if lender.stack is None:
        return None, None
    try:
        return lender.stack.lookup(account), None
    except SnapshotError as error:
        lender.faults["snapshot"] = str(error)
        return None, SNAPSHOT_MISSING


def _snapshot_view(lender: Lender, found: Found | None) -> SnapshotView | None:
    if lender.stack is None:
        return None
    manifest = found.manifest if found else lender.stack.newest
    return SnapshotView(
        sequence=lender.stack.newest.sequence,
        built_at=manifest.built_at,
        soft_age_s=manifest.soft_age_s,
        hard_age_s=manifest.hard_age_s,
        record=found.record if found else None,
        policy_version_min=lender.stack.newest.policy_version,
    )
