"""What a customer may choose before a sale is authorized: the plans of the pass's lender, each with its statement.

The one rule: a choice is taken only for what would be offered now, to the byte; whatever cannot be taken is refused in
words before anything is recorded, so the customer's code stays good for another choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from agent.core.authorization import Hold
from agent.core.coupons import Coupon, CouponRefused, check_use, read_coupon
from agent.core.disclosure import Choice, Statement, read_statement, statement
from agent.core.instalments import offer
from agent.core.journal import Kind
from agent.core.money import Money
from agent.core.plans import Instalments, Plan
from agent.core.trusted_time import ClockReading
from agent.errors import OfferRefused
from agent.ports import Ledger
from agent.services.lenders import Lender
from agent.services.timekeeping import LaneClock
from agent.texts import Language

SHOWN_KEPT: Final = 1_000
"""Statements whose moment of showing is remembered: many more than wait for a choice at one counter."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a sale asks for: a plan by its id, the text of a coupon, and the digest of the statement that was shown
    (None: whatever is offered now) in ``language`` (None: the lane's)."""

    plan: str | None = None
    coupon: str | None = None
    statement: bytes | None = None
    language: Language | None = None


@dataclass(frozen=True, slots=True)
class Basket:
    """What is to be paid for: by ``sale_id``, of which a coupon may be used again by a new attempt."""

    amount: Money
    category: str
    account: bytes | None = None
    sale_id: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice that may be taken, with all that its disclosure says."""

    choice: Choice
    statement: Statement
    policy_version: int
    coupon: str | None
    language: Language
    shown_at: int | None


@dataclass(frozen=True, slots=True)
class Menu:
    """The statements of all plans that a sale may have; ``coupon_reason``: why its coupon helps none of them."""

    lender: Lender
    statements: tuple[Statement, ...]
    coupon_reason: str | None = None


class Offers:
    """Makes offers of the lane's lenders, in the store's ``timezone``."""

    def __init__(self, ledger: Ledger, clock: LaneClock, timezone: str, language: Language) -> None:
        self._ledger, self._clock, self._language = ledger, clock, language
        self._zone = ZoneInfo(timezone)
        self._shown: dict[tuple[str | None, bytes], int] = {}  # by sale and digest of a statement, since when

    def menu(self, lender: Lender, basket: Basket, coupon: str | None = None) -> Menu:
        """What is offered now, and from now on counts as shown. Raises OfferRefused (clock_untrusted)."""
        reading, terms = self._read(lender), _terms(lender, basket)
        if terms is None:
            return Menu(lender, ())
        reason, statements = None, []
        for plan in _fitting(terms, basket):
            used, why = self._coupon_for(lender, basket, plan, coupon, reading)
            reason = reason or why
            statements.append(self._statement(terms, plan, basket, used, reading))
        self._note_shown(basket.sale_id, statements, reading.now_s)
        has_helped = any(said.coupon_id for said in statements)
        return Menu(lender, tuple(statements), None if has_helped else reason)

    def take(self, lender: Lender, basket: Basket, wish: Wish) -> Chosen:
        """The wish as it will be recorded. Raises OfferRefused with the reason: a key of the text catalogue."""
        if wish.plan is None:
            raise OfferRefused("coupon_without_plan")
        reading, terms = self._read(lender), _terms(lender, basket)
        plan = terms.find(wish.plan) if terms else None
        if terms is None or plan is None or lender.policy is None:
            raise OfferRefused("plan_unknown")
        if not plan.is_for(basket.amount.minor, basket.category):
            raise OfferRefused("plan_not_offered")
        coupon, refusal = self._coupon_for(lender, basket, plan, wish.coupon, reading)
        if refusal:
            raise OfferRefused(refusal)
        said = self._statement(terms, plan, basket, coupon, reading)
        if wish.statement not in (None, said.digest):
            raise OfferRefused("plan_changed")
        shown_at = self._shown.get((basket.sale_id, said.digest), self._shown.get((None, said.digest)))
        # A signed time may have put the clock back meanwhile: what was just shown was shown for no time, not for less.
        shown_s = None if shown_at is None else max(0, reading.now_s - shown_at)
        if shown_s is not None and shown_s < lender.policy.limits.statement_shown_min_s:
            raise OfferRefused("choice_early")
        language = wish.language or self._language
        return Chosen(Choice.of(said), said, lender.policy.version, wish.coupon, language, shown_at)

    def _read(self, lender: Lender) -> ClockReading:
        """Payments are dated: without a clock to trust there is nothing to offer."""
        reading = self._clock.read(lender.lender)
        if not reading.trusted:
            raise OfferRefused("clock_untrusted")
        return reading

    def _coupon_for(
        self, lender: Lender, basket: Basket, plan: Plan, text: str | None, reading: ClockReading
    ) -> tuple[Coupon | None, str | None]:
        """The coupon if it counts for this plan, else why not."""
        if text is None:
            return None, None
        try:
            coupon = read_coupon(text, lender.keys, at=reading.now_s)
            check_use(
                coupon, account=basket.account, plan_id=plan.plan_id, amount_minor=basket.amount.minor,
                at=reading.now_s,
            )  # fmt: skip
        except CouponRefused as refused:
            return None, refused.reason
        holder = self._ledger.coupon_sale(lender.lender, coupon.coupon_id)
        return (coupon, None) if holder in (None, basket.sale_id) else (None, "coupon_used")

    def _statement(
        self, terms: Instalments, plan: Plan, basket: Basket, coupon: Coupon | None, reading: ClockReading
    ) -> Statement:
        sold_on = self._day(reading.now_s)
        made = offer(plan, basket.amount.minor, sold_on, interest_free=coupon is not None)
        return statement(terms, made, basket.amount.currency, sold_on, coupon)

    def _day(self, at_s: int) -> date:
        return datetime.fromtimestamp(at_s, UTC).astimezone(self._zone).date()

    def _note_shown(self, sale_id: str | None, statements: list[Statement], now_s: int) -> None:
        """Two customers may be shown the same statement: of each sale the first showing counts. Of offers that belong
        to no sale yet it is the last one, which nobody can have looked at for longer."""
        for said in statements:
            if sale_id is None:
                self._shown.pop((None, said.digest), None)
            self._shown.setdefault((sale_id, said.digest), now_s)
        for shown in list(self._shown)[:-SHOWN_KEPT]:
            del self._shown[shown]


def _terms(lender: Lender, basket: Basket) -> Instalments | None:
    policy = lender.policy
    return policy.instalments if policy and policy.currency == basket.amount.currency else None


def _fitting(terms: Instalments, basket: Basket) -> Iterator[Plan]:
    return (plan for plan in terms.plans if plan.is_for(basket.amount.minor, basket.category))


def disclosed(ledger: Ledger, hold: Hold) -> Statement | None:
    """What was shown of the plan that this hold was sold with; None without one. Raises ledger faults."""
    if hold.plan is None:
        return None
    entries = (sealed.entry for sealed in reversed(ledger.sale_entries(hold.sale_id)))
    shown = next(e for e in entries if e.kind == Kind.DISCLOSURE and e.attempt == hold.attempt)
    return read_statement(shown.body["statement"])
