"""Promise 5: instalments add up to the cent, fall due on the right day, and say what they cost a year."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.core.instalments import (
    PAYMENTS_MAX,
    Bearer,
    Plan,
    PlanError,
    annual_rate,
    months_after,
    offer,
)

SOLD_ON = date(2026, 11, 22)


def plan(payments: int = 3, fee_rate: str = "0.023", bearer: Bearer = Bearer.CUSTOMER, merchant: int = 0) -> Plan:
    return Plan("plan", payments, fee_rate, bearer, merchant)


plans = st.builds(
    lambda payments, rate, bearer, percent: Plan(
        "any", payments, f"0.{rate:06}", bearer, percent if bearer is Bearer.SPLIT else 0
    ),
    st.integers(1, PAYMENTS_MAX),
    st.integers(0, 999_999),
    st.sampled_from(Bearer),
    st.integers(0, 100),
)


@pytest.mark.parametrize(
    ("payments", "fee_rate", "nominal", "effective"),
    [
        (3, "0.023", "13.75", "14.65"),
        (6, "0.045", "15.27", "16.38"),
        (12, "0.075", "13.57", "14.44"),
        (1, "0.01", "12.00", "12.68"),
        (12, "0", "0.00", "0.00"),
    ],
)
def test_the_annual_rate_of_a_flat_fee_is_that_of_the_money_still_owed(
    payments: int, fee_rate: str, nominal: str, effective: str
) -> None:
    rate = offer(plan(payments, fee_rate), 1_200_000, SOLD_ON).rate
    assert (rate.nominal, rate.effective) == (Decimal(nominal), Decimal(effective))


@given(plans, st.integers(PAYMENTS_MAX, 10**10), st.booleans())
def test_payments_add_up_to_the_cent_whoever_bears_the_fee(plan: Plan, principal: int, interest_free: bool) -> None:
    made = offer(plan, principal, SOLD_ON, interest_free=interest_free)
    fee = made.customer_fee_minor + made.merchant_fee_minor
    assert sum(payment.principal_minor for payment in made.payments) == principal
    assert made.total_minor == principal + made.customer_fee_minor
    assert abs(fee - plan.rate * principal) <= Decimal("0.5")
    assert len(made.payments) == plan.payments
    assert len({payment.minor for payment in made.payments[1:]}) <= 1, "only the first differs"
    assert made.payments[0].minor - made.payments[-1].minor < 2 * plan.payments
    assert made.customer_fee_minor == 0 or not (interest_free or plan.bearer is Bearer.MERCHANT)


@given(plans, st.integers(PAYMENTS_MAX, 10**10))
def test_the_rate_of_an_offer_prices_it_exactly(plan: Plan, principal: int) -> None:
    made = offer(plan, principal, SOLD_ON)
    monthly = made.rate.nominal / 1200
    shown = sum(payment.minor / (1 + monthly) ** month for month, payment in enumerate(made.payments, 1))
    assert abs(shown - principal) / principal < Decimal("0.0003"), "two decimals of a percent a year, over five years"
    assert made.rate.effective >= made.rate.nominal >= 0


def test_the_remainder_is_in_the_first_payment() -> None:
    made = offer(plan(3, "0"), 10_000, SOLD_ON)
    assert [payment.minor for payment in made.payments] == [3_334, 3_333, 3_333]


@pytest.mark.parametrize(
    ("sold_on", "due"),
    [
        (date(2026, 1, 31), ["2026-02-28", "2026-03-31", "2026-04-30"]),
        (date(2028, 1, 31), ["2028-02-29", "2028-03-31", "2028-04-30"]),
        (date(2026, 11, 30), ["2026-12-30", "2027-01-30", "2027-02-28"]),
        (date(2028, 2, 29), ["2028-03-29", "2028-04-29", "2028-05-29"]),
        (date(2026, 12, 31), ["2027-01-31", "2027-02-28", "2027-03-31"]),
    ],
)
def test_a_payment_is_due_on_the_day_of_the_sale_or_the_months_last(sold_on: date, due: list[str]) -> None:
    assert [payment.due.isoformat() for payment in offer(plan(), 10_000, sold_on).payments] == due


@given(st.dates(max_value=date(9990, 1, 1)), st.integers(1, 60))
@example(date(2027, 12, 31), 2)
def test_no_month_is_skipped_or_hit_twice(day: date, months: int) -> None:
    later = months_after(day, months)
    assert (later.year - day.year) * 12 + later.month - day.month == months
    assert later.day <= day.day


def test_a_split_fee_is_borne_by_both_and_nothing_of_it_is_lost() -> None:
    made = offer(plan(3, "0.03", Bearer.SPLIT, 40), 10_001, SOLD_ON)
    assert (made.customer_fee_minor, made.merchant_fee_minor) == (180, 120)


def test_a_coupon_makes_the_customers_plan_free_and_says_so_in_the_rate() -> None:
    made = offer(plan(12, "0.075"), 100_000, SOLD_ON, interest_free=True)
    assert (made.total_minor, made.merchant_fee_minor) == (100_000, 7_500)
    assert made.rate == annual_rate(1, [1])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: plan(0),
        lambda: plan(PAYMENTS_MAX + 1),
        lambda: plan(3, "1.01"),
        lambda: plan(3, "-0.1"),
        lambda: plan(3, "1e-2"),
        lambda: plan(3, "NaN"),
        lambda: plan(3, "٠.١"),
        lambda: plan(3, ""),
        lambda: plan(3, "0.1", Bearer.SPLIT, 101),
        lambda: plan(3, "0.1", Bearer.CUSTOMER, 10),
        lambda: offer(plan(), 2, SOLD_ON),
        lambda: offer(plan(), 0, SOLD_ON),
        lambda: offer(plan(), 2**53, SOLD_ON),
        lambda: offer(plan(), 300, date(9999, 12, 1)),
    ],
)
def test_what_cannot_be_a_plan_is_refused_in_a_sentence(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(PlanError, match=r"^[A-Z0-9].*\.$"):
        wrong()
