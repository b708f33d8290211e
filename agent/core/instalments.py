"""Instalment plans: what a customer pays when, what it costs, and the annual rate of it.

The one rule: money is integers of minor units and adds up exactly; rates are exact decimals, rounded only where they
are shown. Rounding of money: a fee is rounded half up to a minor unit; what does not divide evenly among the payments
is added to the first one, principal and fee each by itself.

The annual rate is that of the internal rate of return per month of the payments: *nominal* is twelve times the monthly
rate, *effective* compounds it (China, PBoC notice 2021 no. 3: all costs over the principal still outstanding). It is
computed over equal months, because payments are due on the same day of each month.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation, localcontext
from enum import StrEnum
from fractions import Fraction
from typing import Final

from agent.core.money import MINOR_MAX

PAYMENTS_MAX: Final = 60
"""Five years of monthly payments: more than any consumer plan, few enough to compute on the way of a sale."""

FEE_RATE_MAX: Final = Decimal(1)
MONTHS_OF_YEAR: Final = 12
SHOWN: Final = Decimal("0.01")
"""Annual rates are shown in percent with two decimals."""

_PRECISE: Final = Context(prec=40, rounding=ROUND_HALF_UP)
_STEPS_MAX: Final = 100


class PlanError(ValueError):
    """A plan or an amount that cannot be; the message is a sentence."""


class Bearer(StrEnum):
    """Who bears the fee of a plan."""

    CUSTOMER = "customer"
    MERCHANT = "merchant"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan of the signed policy.

    ``payments`` monthly payments, the first a month after the sale. ``fee_rate`` is the whole fee as a share of the
    amount, a decimal string ("0.045": 4.5 % of the amount, spread evenly over the payments). ``merchant_percent`` of
    the fee is borne by the merchant if the bearer is ``split``. Raises PlanError.
    """

    plan_id: str
    payments: int
    fee_rate: str
    bearer: Bearer
    merchant_percent: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.payments <= PAYMENTS_MAX:
            raise PlanError(f"Plan {self.plan_id} has {self.payments} payments: 1 to {PAYMENTS_MAX} can be.")
        if not 0 <= self.rate <= FEE_RATE_MAX:
            raise PlanError(f"Plan {self.plan_id} has the fee rate {self.fee_rate}: 0 to 1 can be.")
        if not 0 <= self.merchant_percent <= 100:
            raise PlanError(f"Plan {self.plan_id} has {self.merchant_percent} percent of the fee for the merchant.")
        if (self.bearer is not Bearer.SPLIT) and self.merchant_percent:
            raise PlanError(f"Plan {self.plan_id} splits its fee, and says that {self.bearer} bears it.")

    @property
    def rate(self) -> Decimal:
        """``fee_rate`` as a number. Raises PlanError if it is not a plain decimal."""
        try:
            value = Decimal(self.fee_rate)
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite() or set(self.fee_rate) - set("0123456789."):
            raise PlanError(f"Plan {self.plan_id} has the fee rate {self.fee_rate!r}, which is no decimal number.")
        return value


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment of the customer: ``minor = principal_minor + fee_minor``, due on ``due``."""

    due: date
    principal_minor: int
    fee_minor: int

    @property
    def minor(self) -> int:
        return self.principal_minor + self.fee_minor


@dataclass(frozen=True, slots=True)
class AnnualRate:
    """The cost of the credit in percent a year, two decimals: nominal (12 x monthly) and effective (compounded)."""

    nominal: Decimal
    effective: Decimal


@dataclass(frozen=True, slots=True)
class Offer:
    """What one plan means for one amount. ``merchant_fee_minor`` is no part of what the customer pays."""

    plan: Plan
    principal_minor: int
    payments: tuple[Payment, ...]
    merchant_fee_minor: int
    rate: AnnualRate

    @property
    def customer_fee_minor(self) -> int:
        return sum(payment.fee_minor for payment in self.payments)

    @property
    def total_minor(self) -> int:
        return sum(payment.minor for payment in self.payments)


def offer(plan: Plan, principal_minor: int, sold_on: date, *, interest_free: bool = False) -> Offer:
    """What the plan means for ``principal_minor``, sold on a business day of the store.

    ``interest_free``: a coupon of the merchant brings the customer's share of the fee to zero; the merchant bears it.
    Raises PlanError for an amount that has less than one minor unit for each payment.
    """
    if not plan.payments <= principal_minor <= MINOR_MAX:
        raise PlanError(f"{principal_minor} minor units cannot be paid in {plan.payments} payments.")
    fee_minor = _half_up(Fraction(plan.rate) * principal_minor)
    merchant_minor = fee_minor if interest_free else _half_up(Fraction(fee_minor * _merchant_percent(plan), 100))
    principals = _spread(principal_minor, plan.payments)
    fees = _spread(fee_minor - merchant_minor, plan.payments)
    payments = tuple(
        Payment(months_after(sold_on, month), principal, fee)
        for month, (principal, fee) in enumerate(zip(principals, fees, strict=True), 1)
    )
    rate = annual_rate(principal_minor, [payment.minor for payment in payments])
    return Offer(plan, principal_minor, payments, merchant_minor, rate)


def months_after(day: date, months: int) -> date:
    """The same day of a later month, or that month's last: the 31st of January is followed by the 28th (or 29th) of
    February and then by the 31st of March. Raises PlanError beyond the calendar's last year."""
    year, month = divmod(day.year * MONTHS_OF_YEAR + day.month - 1 + months, MONTHS_OF_YEAR)
    if year > date.max.year:
        raise PlanError(f"A payment {months} months after {day} lies beyond the calendar.")
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def annual_rate(principal_minor: int, payments_minor: list[int]) -> AnnualRate:
    """The rate of monthly payments for a principal paid out a month before the first. They sum to no less than it."""
    with localcontext(_PRECISE):
        monthly = _monthly_rate(Decimal(principal_minor), [Decimal(minor) for minor in payments_minor])
        effective = (1 + monthly) ** MONTHS_OF_YEAR - 1
        return AnnualRate(_percent(monthly * MONTHS_OF_YEAR), _percent(effective))


def _monthly_rate(principal: Decimal, payments: list[Decimal]) -> Decimal:
    """The r at which the payments, each discounted by (1 + r) for each month, are worth the principal.

    By Newton's method from 0: their worth falls and is convex in r, so every step stays below the root and rises.
    """
    assert sum(payments) >= principal > 0, "nobody pays back less than was lent"
    rate = Decimal(0)
    for _ in range(_STEPS_MAX):
        discount = 1 / (1 + rate)
        worth, slope, factor = -principal, Decimal(0), Decimal(1)
        for month, payment in enumerate(payments, 1):
            factor *= discount
            worth += payment * factor
            slope -= month * payment * factor * discount
        step = -worth / slope
        rate += step
        if abs(step) < Decimal("1e-20"):
            break
    return rate


def _merchant_percent(plan: Plan) -> int:
    return {Bearer.CUSTOMER: 0, Bearer.MERCHANT: 100, Bearer.SPLIT: plan.merchant_percent}[plan.bearer]


def _spread(minor: int, parts: int) -> list[int]:
    """Even parts that add up exactly; the remainder is in the first."""
    part, remainder = divmod(minor, parts)
    return [part + remainder, *[part] * (parts - 1)]


def _half_up(value: Fraction) -> int:
    return int(value + Fraction(1, 2))


def _percent(value: Decimal) -> Decimal:
    return (value * 100).quantize(SHOWN, rounding=ROUND_HALF_UP)
