"""What refunds leave of a plan is told to the customer and to whoever looks the sale up; a hold is no charge yet."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.disclosure import part_left
from agent.services.offers import Wish
from agent.texts import slip
from drivers.document import to_text
from tests.services.lanes import CUSTOMER, Till, order
from tests.services.test_printing import print_for
from tests.uplink.world import run

PRICE = 30_000


@pytest.fixture
def till(opened: Callable[..., Till]) -> Till:
    return opened(grants={CUSTOMER: 40_000})


def papers(till: Till) -> list[str]:
    """Everything that has been printed, in order."""
    print_for(till, 1)
    return [to_text(document, 48) for document in till.printer.documents]


def test_a_slip_of_a_refund_tells_what_is_left_of_the_plan(till: Till) -> None:
    hold = run(till.checkout.sell(order("sale-0001", PRICE, wish=Wish("3x")), till.phone().code()))
    assert till.lane.counter.views.outcome(hold)["plan_left"] is None, "nothing has come back yet"
    half = run(till.lane.holds.refund("sale-0001", PRICE // 2, request="a", reason="returned"))
    left = till.lane.counter.views.outcome(half)["plan_left"]
    fee_minor = till.lane.counter.views.outcome(half)["plan"]["fee_minor"]
    assert left == {
        "principal_minor": PRICE // 2,
        "fee_minor": fee_minor - fee_minor // 2,
        "total_minor": PRICE // 2 + fee_minor - fee_minor // 2,
    }
    rest = run(till.lane.holds.refund("sale-0001", None, request="b", reason="returned"))
    assert till.lane.counter.views.outcome(rest)["plan_left"]["total_minor"] == 0
    _, second, third = papers(till)
    assert slip("zh-CN", "plan_left") in second
    assert slip("zh-CN", "plan_nothing_left") in third


def test_the_slip_of_a_hold_says_that_nothing_is_charged_yet(till: Till) -> None:
    run(till.checkout.sell(order("sale-0001", 5_000, capture="later"), till.phone().code()))
    run(till.lane.holds.capture("sale-0001"))
    held, captured = papers(till)
    assert slip("zh-CN", "held") in held
    assert slip("zh-CN", "held") not in captured


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.data())
def test_the_last_part_of_the_principal_brings_the_last_of_the_fee_back(
    fee: int, captured: int, data: st.DataObject
) -> None:
    refunded = data.draw(st.integers(0, captured))
    assert part_left(fee, captured, captured) == 0
    assert 0 <= part_left(fee, captured, refunded) <= fee == part_left(fee, captured, 0)
