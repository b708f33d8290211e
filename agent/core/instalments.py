"""The arithmetic of instalments: what a customer pays when, what it costs, and the annual rate of it.

The one rule: money is integers of minor units and adds up exactly; rates are exact decimals, rounded only where they
are shown. Rounding of money: a fee is rounded half up to a minor unit; what does not divide evenly among the payments
is added to the first one, principal and fee each by itself.

The annual rate is that of the internal rate of return per month of the payments: *nominal* is twelve times the monthly
rate, *effective* compounds it (China, PBoC notice 2021 no. 3: all costs over the principal still outstanding). It is
computed over whole months from the sale, because payments are due on the same day of each month.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from typing import Final

from agent.core.money import MINOR_MAX
from agent.core.plans import Bearer, FeeMethod, Plan, PlanError

MONTHS_OF_YEAR: Final = 12
SHOWN: Final = Decimal("0.01")
"""Annual rates are shown in percent with two decimals."""

_PRECISE: Final = Context(prec=40, rounding=ROUND_HALF_UP)
_STEPS_MAX: Final = 100


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
    """What one plan means for one amount. ``merchant_fee_minor`` and what a coupon waived are no part of what the
    customer pays."""

    plan: Plan
    principal_minor: int
    payments: tuple[Payment, ...]
    merchant_fee_minor: int
    waived_minor: int
    rate: AnnualRate

    @property
    def customer_fee_minor(self) -> int:
        return sum(payment.fee_minor for payment in self.payments)

    @property
    def total_minor(self) -> int:
        return sum(payment.minor for payment in self.payments)


def offer(plan: Plan, principal_minor: int, sold_on: date, *, interest_free: bool = False) -> Offer:
    """What the plan means for ``principal_minor``, sold on a business day of the store.

    ``interest_free``: a coupon brings the customer's share of the fee to zero; ``waived_minor`` is what it was worth.
    Raises PlanError for an amount that has less than one minor unit for each payment.
    """
    if not plan.payments <= principal_minor <= MINOR_MAX:
        raise PlanError(f"{principal_minor} minor units cannot be paid in {plan.payments} payments.")
    weights = _weights(plan)
    charged_on = sum(weights) if plan.fee_method is FeeMethod.BALANCE else plan.payments
    fee_minor = _half_up(Fraction(plan.rate) * principal_minor * charged_on / plan.payments)
    merchant_minor = _half_up(Fraction(fee_minor * _merchant_percent(plan), 100))
    customer_minor = fee_minor - merchant_minor
    principals = _spread(principal_minor, [1] * plan.payments)
    fees = _spread(0 if interest_free else customer_minor, weights)
    payments = tuple(
        Payment(due, principal, fee)
        for due, principal, fee in zip(_due_days(plan, sold_on), principals, fees, strict=True)
    )
    first = plan.first_payment.months
    rate = annual_rate(principal_minor, [payment.minor for payment in payments], first_months=first)
    return Offer(plan, principal_minor, payments, merchant_minor, customer_minor if interest_free else 0, rate)


def _due_days(plan: Plan, sold_on: date) -> list[date]:
    first = plan.first_payment
    begins = sold_on if first.day is None else sold_on.replace(day=first.day)
    return [months_after(begins, first.months + month) for month in range(plan.payments)]


def _weights(plan: Plan) -> list[int]:
    """How the fee falls on the payments: evenly, with the first, or by the equal parts of principal still owed."""
    match plan.fee_method:
        case FeeMethod.FIRST:
            return [1] + [0] * (plan.payments - 1)
        case FeeMethod.BALANCE:
            return list(range(plan.payments, 0, -1))
    return [1] * plan.payments


def months_after(day: date, months: int) -> date:
    """The same day of a later month, or that month's last: the 31st of January is followed by the 28th (or 29th) of
    February and then by the 31st of March. Raises PlanError beyond the calendar's last year."""
    year, month = divmod(day.year * MONTHS_OF_YEAR + day.month - 1 + months, MONTHS_OF_YEAR)
    if year > date.max.year:
        raise PlanError(f"A payment {months} months after {day} lies beyond the calendar.")
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def annual_rate(principal_minor: int, payments_minor: list[int], *, first_months: int = 1) -> AnnualRate:
    """The rate of monthly payments for a principal paid out ``first_months`` before the first of them. They sum to no
    less than it."""
    with localcontext(_PRECISE):
        monthly = _monthly_rate(Decimal(principal_minor), [Decimal(minor) for minor in payments_minor], first_months)
        effective = (1 + monthly) ** MONTHS_OF_YEAR - 1
        return AnnualRate(_percent(monthly * MONTHS_OF_YEAR), _percent(effective))


def _monthly_rate(principal: Decimal, payments: list[Decimal], first_months: int) -> Decimal:
    """The r at which the payments, each discounted by (1 + r) for each month, are worth the principal.

    By Newton's method from 0: their worth falls and is convex in r, so every step stays below the root and rises.
    """
    assert sum(payments) >= principal > 0, "nobody pays back less than was lent"
    rate = Decimal(0)
    for _ in range(_STEPS_MAX):
        discount = 1 / (1 + rate)
        worth, slope, factor = -principal, Decimal(0), discount ** (first_months - 1)
        for month, payment in enumerate(payments, first_months):
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


def _spread(minor: int, weights: list[int]) -> list[int]:
    """Parts by weight that add up exactly; the remainder is in the first."""
    parts = [minor * weight // sum(weights) for weight in weights]
    return [parts[0] + minor - sum(parts), *parts[1:]]


def _half_up(value: Fraction) -> int:
    return int(value + Fraction(1, 2))


def _percent(value: Decimal) -> Decimal:
    return (value * 100).quantize(SHOWN, rounding=ROUND_HALF_UP)
