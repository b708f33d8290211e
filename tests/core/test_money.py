"""Money is whole minor units in a currency, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.money import MINOR_MAX, Money, MoneyError, format_minor


@given(st.integers(1, MINOR_MAX), st.from_regex("[A-Z]{3}", fullmatch=True))
def test_money_survives_the_wire(minor: int, currency: str) -> None:
    assert Money.from_wire(Money(minor, currency).to_wire()) == Money(minor, currency)


@pytest.mark.parametrize("minor", [0, -1, 2**53, 1.0, True, "1", None])
def test_what_is_no_amount_is_refused(minor: object) -> None:
    with pytest.raises(MoneyError):
        Money(minor, "CNY")  # type: ignore[arg-type]


@pytest.mark.parametrize("currency", ["cny", "CN", "CNYX", "", "C1Y", None, 156, "ＣＮＹ"])
def test_what_is_no_currency_is_refused(currency: object) -> None:
    with pytest.raises(MoneyError):
        Money(1, currency)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", [None, [], 5, {}, {"minor": 1}, {"currency": "CNY"}, {"minor": 1.5, "currency": "CNY"}]
)
def test_a_malformed_wire_amount_is_refused(value: object) -> None:
    with pytest.raises(MoneyError):
        Money.from_wire(value)


def test_unknown_wire_fields_are_ignored() -> None:
    assert Money.from_wire({"minor": 5, "currency": "CNY", "newer": 1}) == Money(5, "CNY")


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (12_800, "CNY", "¥128.00"),
        (5, "CNY", "¥0.05"),
        (500, "JPY", "JPY 500"),
        (1_250, "KWD", "KWD 1.250"),
        (100, "CHF", "CHF 1.00"),
        (9_007_199_254_740_991, "CNY", "¥90071992547409.91"),
    ],
)
def test_a_slip_prints_the_exponent_of_the_currency(minor: int, currency: str, text: str) -> None:
    assert str(Money(minor, currency)) == text


@pytest.mark.parametrize(("minor", "text"), [(0, "¥0.00"), (-1_250, "-¥12.50"), (-5, "-¥0.05")])
def test_totals_print_zero_and_below(minor: int, text: str) -> None:
    assert format_minor(minor, "CNY") == text
