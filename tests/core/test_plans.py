"""A policy's plans are whole and without fault, in both languages, or the policy is none."""

from typing import Any

import pytest

from agent.core import cbor
from agent.core.default_plans import default_instalments
from agent.core.plans import Bearer, FeeMethod, FirstPayment, PlanError, parse_instalments


def payload(**changes: Any) -> dict[str, Any]:
    """The default plans, the second one (three payments) with ``changes``."""
    value = default_instalments()
    value["plans"][1] = {name: given for name, given in (value["plans"][1] | changes).items() if given != "gone"}
    return value


def faults(value: Any) -> tuple[str, ...]:
    with pytest.raises(PlanError) as refused:
        parse_instalments(value)
    return refused.value.faults


def test_the_default_plans_survive_being_written_and_read() -> None:
    read = parse_instalments(default_instalments())
    assert read is not None
    assert parse_instalments(cbor.decode(cbor.encode(read.payload()))) == read
    assert read.find("3x") is read.plans[1]
    assert read.find("nothing") is None


def test_a_lender_may_have_no_plans() -> None:
    assert parse_instalments(None) is None


def test_every_field_is_read() -> None:
    read = parse_instalments(
        payload(
            fee_method="balance",
            bearer="split",
            merchant_percent=30,
            categories=["5411", "5732"],
            first_payment={"months": 2, "day": 15},
        )
    )
    assert read is not None
    plan = read.plans[1]
    assert (plan.fee_method, plan.bearer, plan.merchant_percent) == (FeeMethod.BALANCE, Bearer.SPLIT, 30)
    assert plan.first_payment == FirstPayment(2, 15)
    assert plan.is_for(10_000, "5411")
    assert not plan.is_for(10_000, "5814")


@pytest.mark.parametrize(("amount", "fits"), [(9_999, False), (10_000, True), (5_000_000, True), (5_000_001, False)])
def test_a_plan_is_for_amounts_from_its_least_to_its_most(amount: int, fits: bool) -> None:
    read = parse_instalments(default_instalments())
    assert read is not None
    assert read.plans[1].is_for(amount, "5411") is fits


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"payments": 0}, "plans: 3x: Plan 3x has 0 payments: 1 to 60 can be."),
        ({"payments": "3"}, "plans: 3x: payments: must be a whole number, not '3'"),
        ({"payments": "gone"}, "plans: 3x: payments: must be a whole number, not None"),
        ({"fee_rate": 0.023}, "plans: 3x: fee_rate: must be a decimal number as a text, as 0.045, not 0.023"),
        ({"fee_rate": "1.01"}, "plans: 3x: Plan 3x has the fee rate 1.01: 0 to 1 can be."),
        ({"fee_method": "weekly"}, "plans: 3x: fee_method: must be one of spread, first, balance, not 'weekly'"),
        ({"merchant_percent": 5}, "plans: 3x: Plan 3x splits its fee, and says that the customer bears it."),
        ({"amount_max_minor": 8}, "plans: 3x: Plan 3x is for 10000 to 8 minor units: no amount fits."),
        ({"categories": ["54"]}, "plans: 3x: categories: must be a category of 4 digits, not '54'"),
        ({"first_payment": {"months": 0}}, "plans: 3x: Plan 3x begins 0 months after the sale: 1 to 12 can be."),
        ({"first_payment": {"months": 1, "day": 31}}, "plans: 3x: Plan 3x is due on day 31: 1 to 28 can be."),
        ({"name": {"en": "3 payments"}}, "plans: 3x: name: zh-CN: must be a text of 1 to 40 characters"),
        ({"name": {"en": "a\nb", "zh-CN": "好"}}, "plans: 3x: name: en: must be a text of 1 to 40 characters"),
        ({"id": "6x"}, "plans: 6x: this id is given twice"),
        ({"id": "X"}, "plans: X: id: must be 1 to 20 of a-z 0-9 -, not 'X'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_plan_and_the_field(changes: dict[str, Any], said: str) -> None:
    assert faults(payload(**changes)) == (said,)


def test_all_faults_are_listed_at_once() -> None:
    value = payload(payments=0, amount_min_minor=0) | {"texts": {"lender": {"en": "L", "zh-CN": "放"}}}
    assert len(faults(value)) == 2 + 2 * 3, "two of the plan; three texts in two languages each"


@pytest.mark.parametrize("value", [[], "plans", {}, {"plans": [], "texts": {}}, {"plans": [None], "texts": None}, 7])
def test_what_has_another_shape_is_refused_and_never_breaks(value: Any) -> None:
    assert faults(value)
