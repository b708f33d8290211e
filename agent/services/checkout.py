"""The story of a sale: a scanned code becomes a decision that is durable before anybody sees it.

The one rule: ``record`` comes before ``return``. Whatever this file answers is already on the disk, and what is on
the disk is what it answers, however often it is asked.

One sale at a time: a lane has one cashier, and the lease arithmetic reads, decides and writes in one go.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from agent.core.authorization import Hold, HoldState
from agent.core.classify import classify
from agent.core.decision import RESPONSE_CODES, decide
from agent.core.journal import Draft
from agent.core.money import Money
from agent.core.situation import Sale
from agent.core.trusted_time import ClockReading
from agent.errors import CodeNotShown, DiskFull, IdempotencyConflict, OfferRefused, UplinkRefused, UplinkUnavailable
from agent.ports import Backend, Ledger
from agent.services import entries
from agent.services.circumstances import Circumstances
from agent.services.entries import Refusal
from agent.services.lenders import Lenders
from agent.services.offers import Basket, Menu, Offers, Wish
from agent.services.outcomes import Outcomes
from agent.services.question import authorization_request
from agent.services.reading import Case, Reader, Sight
from agent.services.recovery import Recovery
from agent.services.shown_codes import ShownCode, Sign, shown_code
from agent.services.stakes import Stakes
from agent.services.timekeeping import LaneClock
from agent.services.wallets import Patience, WalletDesk, waits_for_phone

LOG: Final = logging.getLogger(__name__)
CLOCK_UNTRUSTED: Final = Refusal("clock_untrusted", RESPONSE_CODES["clock_untrusted"])
CHOICE_LATE: Final = Refusal("choice_late", "54")
NOT_BY_THIS_LANE: Final = "91"
"""ISO 8583 field 39, issuer inoperative: what ends standing in and has no code of its own."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the POS asks for: put this amount on credit. ``capture`` is ``at_once`` or ``later``.

    ``wish``: the plan and coupon that were chosen; ``asks_offers``: the customer chooses when the pass is known.
    """

    sale_id: str
    amount: Money
    merchant_category: str
    capture: str = "at_once"
    wish: Wish | None = None
    asks_offers: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """``online_budget_s`` is the configured bound; the policy may only shorten it. ``rails``: whose codes the backend
    serves; ``sign``: whom codes pay that the lane shows, None: it shows none."""

    lane: str
    online_budget_s: float
    rails: frozenset[str] = frozenset()
    patience: Patience = field(default_factory=Patience)
    sign: Sign | None = None
    timezone: str = "Asia/Shanghai"


class Checkout:
    """Puts sales on credit. What becomes of them later is ``hold_desk``'s."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        lenders: Lenders,
        clock: LaneClock,
        backend: Backend,
        *,
        offers: Offers,
        outcomes: Outcomes,
        may_stand_in: Callable[[], str | None],
        may_begin: Callable[[], bool],
    ) -> None:
        self._settings, self._ledger, self._lenders = settings, ledger, lenders
        self._clock, self._backend, self._may_stand_in, self._may_begin = clock, backend, may_stand_in, may_begin
        self._reader, self._stakes = Reader(ledger, lenders, clock), Stakes(settings.lane, ledger)
        self._circumstances = Circumstances(ledger, settings.timezone)
        self._outcomes = outcomes
        self._recovery = Recovery(backend, clock, self._outcomes)
        self.wallets = WalletDesk(
            settings.patience, ledger, clock, backend,
            outcomes=self._outcomes, recovery=self._recovery, budget_s=settings.online_budget_s,
        )  # fmt: skip
        self.offers = offers
        self._turn = asyncio.Lock()

    def look(self, code: str) -> Sight:
        """The code as it is judged now: whose it is, and whether it is good."""
        return self._reader.look(code)

    def offers_for(self, basket: Basket, code: str | None, lender: str, coupon: str | None) -> Menu:
        """What is offered for a basket: to the account of ``code``, else to anybody by ``lender``. Raises OfferRefused
        with why the code is no good pass: nobody knows then whose offers to show."""
        if code is not None:
            sight = self.look(code)
            if isinstance(sight.verified, Refusal):
                raise OfferRefused(sight.verified.reason)
            return self.offers.menu(sight.lender, replace(basket, account=sight.account), coupon)
        named = self._lenders.get(lender)
        assert named is not None, "the caller names a lender of this lane"
        return self.offers.menu(named, basket, coupon)

    async def show_code(self, order: Order, lender: str) -> Hold:
        """Decide one attempt by a code of the lane's own, which the customer pays with the lender's app.

        Raises CodeNotShown, IdempotencyConflict and ledger faults; nothing is recorded then.
        """
        async with self._turn:
            await self._close_interrupted(order.sale_id)
            attempts = self.attempts(order)
            if attempts and attempts[-1].state is not HoldState.DECLINED:
                return attempts[-1]
            if not self._may_begin():
                raise DiskFull
            sale, number = Sale(order.sale_id, order.amount, order.merchant_category), len(attempts) + 1
            code, reading = self._code_for(order, lender, number), self._clock.read(lender)
            digest = entries.code_digest(code.text)
            attempt = entries.Attempt(lender, sale, number, order.capture, digest, reading.now_s)
            return await self.wallets.pay(attempt, code, reading)

    def check_code(self, order: Order, lender: str) -> None:
        """Raises CodeNotShown if no code can be shown for the sale: without a line nobody could pay it."""
        self._code_for(order, lender, 1)
        if not self._backend.available:
            raise CodeNotShown("code_online_only")

    @property
    def shows_codes(self) -> bool:
        """Whether this lane is set up to show codes of its own."""
        return self._settings.sign is not None

    def _code_for(self, order: Order, lender: str, attempt: int) -> ShownCode:
        if self._settings.sign is None:
            raise CodeNotShown("code_unset")
        if order.wish is not None:
            raise CodeNotShown("plan_not_offered")  # a code speaks of no instalments
        return shown_code(
            self._settings.sign, lender, order.merchant_category,
            lane=self._settings.lane, sale_id=order.sale_id, attempt=attempt, amount=order.amount,
        )  # fmt: skip

    async def sell(self, order: Order, code: str, seen: Sight | None = None) -> Hold:
        """Decide one attempt. The same sale and code give the same answer; another code after a decline is a new
        attempt. ``seen``: the code was judged when it was scanned, before the customer chose.

        Raises IdempotencyConflict for a known sale id with other content, OfferRefused, and ledger faults.
        """
        sight = seen or self.look(code)  # before its turn: how long a sale waits does not make its pass older
        async with self._turn:
            await self._close_interrupted(order.sale_id)
            known = self._known(order, code)
            if known is not None:
                return known
            if not self._may_begin():
                raise DiskFull
            sale = Sale(order.sale_id, order.amount, order.merchant_category)
            case = self._reader.open_case(sale, order.capture, sight)
            kind = classify(code.encode()).kind
            if kind in self._settings.rails:
                if order.wish is not None:
                    raise OfferRefused("plan_not_offered")
                return await self.wallets.pay(replace(case.attempt, lender=kind), code, case.reading)
            refusal = self._reader.refused_at_sight(case) or (_late(case) if seen else None)
            if refusal is not None:
                source = case.reading.source
                draft = entries.decline(case.attempt, refusal, clock_source=source, online_unknown=False)
                return self._conclude(case, draft)
            return await self._decide(self._with_choice(case, order))

    async def _close_interrupted(self, sale_id: str) -> None:
        for interrupted in self._ledger.attempts(sale_id):
            if interrupted.state is HoldState.INTENDED:
                await self._resolve(interrupted, may_wait=True)

    async def resolve_interrupted(self) -> None:
        """After a restart: ask what became of every open intent, and close it."""
        async with self._turn:
            for hold in self._ledger.open_intents():
                await self._resolve(hold, may_wait=False)

    async def look_after_interrupted(self) -> int:
        """The same, but what a customer still confirms on a phone is left open; returns how many are: ask again."""
        async with self._turn:
            left = 0
            for hold in self._ledger.open_intents():
                if waits_for_phone(hold):
                    left += not await self.wallets.look(hold)
                else:
                    await self._recovery.resolve(hold)
            return left

    async def _resolve(self, hold: Hold, *, may_wait: bool) -> Hold:
        if waits_for_phone(hold):
            return await self.wallets.resolve(hold, may_wait=may_wait)
        return await self._recovery.resolve(hold)

    @asynccontextmanager
    async def between_sales(self) -> AsyncIterator[None]:
        """While nobody is being served: whoever changes what all sales stand on waits for this."""
        async with self._turn:
            yield

    def attempts(self, order: Order) -> tuple[Hold, ...]:
        """The attempts that this very sale already has. Raises IdempotencyConflict when its id stands for another."""
        attempts = self._ledger.attempts(order.sale_id)
        if attempts:
            first = self._ledger.sale_entries(order.sale_id)[0].entry.body
            asked = (order.amount.minor, order.amount.currency, order.merchant_category, order.capture)
            if asked != tuple(first[name] for name in ("amount_minor", "currency", "category", "capture")):
                raise IdempotencyConflict(f"sale {order.sale_id} had another amount, category or capture before")
            if attempts[-1].is_approved and not order.asks_offers and entries.plan_id(attempts[-1]) != _wished(order):
                raise IdempotencyConflict(f"sale {order.sale_id} was approved with another plan")
        return attempts

    def _known(self, order: Order, code: str) -> Hold | None:
        """The answer that this sale already has; None when it needs a (new) attempt."""
        attempts = self.attempts(order)
        if not attempts or attempts[-1].state is not HoldState.DECLINED:
            return attempts[-1] if attempts else None
        digest = entries.code_digest(code)
        return next((hold for hold in attempts if hold.code == digest), None)

    # -- the decision ------------------------------------------------------------------------------------------

    def _with_choice(self, case: Case, order: Order) -> Case:
        """The case with the instalments that its customer chose. Raises OfferRefused; nothing is recorded then."""
        if order.wish is None:
            return case
        if order.capture != "at_once":
            raise OfferRefused("plan_capture")  # what was disclosed is what is owed: all of it, from now on
        basket = Basket(order.amount, order.merchant_category, case.attempt.account, order.sale_id)
        chosen = self.offers.take(case.lender, basket, order.wish)
        return replace(case, attempt=replace(case.attempt, plan=chosen.choice), chosen=chosen)

    async def _decide(self, case: Case) -> Hold:
        if case.chosen is not None:
            disclosure = entries.disclosure(case.attempt, case.chosen, case.reading.now_s)
            self._ledger.record([disclosure], case.reading)
        if not self._backend.available:
            return self._stand_in(case, debit_minor=0, online_unknown=False)
        lease = self._stakes.reserve(case)
        self._ledger.record([entries.intent(case.attempt, lease)], case.reading)
        debit_minor = lease["debit_minor"] if lease else 0
        try:
            request = authorization_request(case.attempt, self._ledger.head, {"pass": case.code}, lease, case.chosen)
            answer = await self._backend.authorize(request, self._budget_s(case))
        except UplinkUnavailable:
            return self._stand_in(case, debit_minor=debit_minor, online_unknown=False)
        except UplinkRefused as refused:
            # Safe whichever way the backend meant it: the lane's journaled outcome wins (rule 6).
            LOG.warning("the backend refuses to decide: %s", refused.message, extra={"code": refused.code})
            answer = None
        if answer is None or not case.attempt.is_answered_by(answer, debit_minor):
            return self._stand_in(case, debit_minor=debit_minor, online_unknown=True)
        return self._conclude(case, entries.online_outcome(case.attempt, answer, lease["epoch"] if lease else None))

    def _stand_in(self, case: Case, *, debit_minor: int, online_unknown: bool) -> Hold:
        """Decide alone. Time has passed since the scan: the clock is read again, the proof stays bound to the sale."""
        reading = self._clock.read(case.lender.lender)
        case = case.with_newest_layers()
        refusal = self._refused_alone(case)
        if refusal is not None:
            draft = entries.decline(case.attempt, refusal, clock_source=reading.source, online_unknown=online_unknown)
            return self._conclude(case, draft, reading)
        view = self._stakes.lease_view(case, reserved_minor=debit_minor)
        situation = self._circumstances.of(case, view, reading)
        draft = entries.stand_in(
            case.attempt,
            situation,
            decide(situation, case.lender.policy),
            self._ledger.head,
            lease_epoch=view.epoch if view else None,
            online_unknown=online_unknown,
        )
        return self._conclude(case, draft, reading)

    def _refused_alone(self, case: Case) -> Refusal | None:
        """Refusals of standing in for which no rule needs to be asked."""
        limit = self._may_stand_in()
        if limit is not None:
            return Refusal(limit, RESPONSE_CODES.get(limit, NOT_BY_THIS_LANE))
        return case.fault or (None if case.judged else CLOCK_UNTRUSTED)

    def _conclude(self, case: Case, draft: Draft, reading: ClockReading | None = None) -> Hold:
        """End the attempt, which has an intent before it or nothing."""
        attempt = case.attempt
        before = next(
            (hold for hold in self._ledger.attempts(attempt.sale.sale_id) if hold.attempt == attempt.number),
            Hold(attempt.lender, attempt.sale.sale_id, attempt.number),
        )
        return self._outcomes.record(before, draft, reading or self._clock.read(attempt.lender))

    def _budget_s(self, case: Case) -> float:
        policy = case.lender.policy
        by_policy = policy.limits.online_budget_ms / 1000 if policy else self._settings.online_budget_s
        return min(by_policy, self._settings.online_budget_s)


def _late(case: Case) -> Refusal | None:
    """A proof stays bound to its sale for a policy time, so that choosing a plan does not make it stale; not longer."""
    policy = case.lender.policy
    bound_s = policy.limits.proof_bound_s if policy else 0
    return CHOICE_LATE if case.reading.now_s - case.attempt.scanned_at > bound_s else None


def _wished(order: Order) -> str | None:
    return order.wish.plan if order.wish else None
