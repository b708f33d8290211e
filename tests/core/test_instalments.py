"""Promise 5: instalments add up to the cent, fall due on the right day, and say what they cost a year."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.core.instalments import annual_rate, months_after, offer
from agent.core.plans import PAYMENTS_MAX, Bearer, FeeMethod, FirstPayment, Plan, PlanError

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
    fee = made.customer_fee_minor + made.merchant_fee_minor + made.waived_minor
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
    assert (made.total_minor, made.merchant_fee_minor, made.waived_minor) == (100_000, 0, 7_500)
    assert made.rate == annual_rate(1, [1])


def test_the_rate_is_the_one_at_which_a_search_by_halves_prices_the_payments_at_the_principal() -> None:
    """Independent of the product's arithmetic: floats, and no derivative."""
    for payments, rate, first in [(3, "0.023", 1), (6, "0.045", 2), (12, "0.075", 1), (24, "0.2", 3), (60, "0.6", 1)]:
        made = offer(Plan("any", payments, rate, first_payment=FirstPayment(first)), 10_000_000, SOLD_ON)
        low, high = 0.0, 1.0
        for _ in range(200):
            middle = (low + high) / 2
            months = range(first, first + payments)
            worth = sum(p.minor / (1 + middle) ** month for month, p in zip(months, made.payments, strict=True))
            low, high = (middle, high) if worth > 10_000_000 else (low, middle)
        assert abs(float(made.rate.nominal) - low * 1200) < 0.0051
        assert abs(float(made.rate.effective) - ((1 + low) ** 12 - 1) * 100) < 0.0051


def test_a_fee_with_the_first_payment_costs_more_a_year_than_one_spread_evenly() -> None:
    made = offer(Plan("any", 3, "0.03", fee_method=FeeMethod.FIRST), 10_000, SOLD_ON)
    assert [payment.fee_minor for payment in made.payments] == [300, 0, 0]
    assert made.rate.nominal > offer(plan(3, "0.03"), 10_000, SOLD_ON).rate.nominal


def test_a_fee_on_the_balance_costs_twelve_times_its_rate_a_year() -> None:
    made = offer(Plan("any", 4, "0.01", fee_method=FeeMethod.BALANCE), 40_000, SOLD_ON)
    assert [payment.fee_minor for payment in made.payments] == [400, 300, 200, 100]
    assert str(made.rate.nominal) == "12.00"


def test_pay_next_month_on_a_fixed_day() -> None:
    made = offer(Plan("any", 2, "0", first_payment=FirstPayment(1, 10)), 10_000, date(2026, 12, 31))
    assert [str(payment.due) for payment in made.payments] == ["2027-01-10", "2027-02-10"]


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
