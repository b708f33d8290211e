"""A sale says what may be done with it next; that changes it, and nothing else does."""

from collections.abc import Callable
from typing import Any

import pytest

from agent.services.next_deeds import CALLS
from tests.services.lanes import LENDER, Till, order
from tests.uplink.world import run

SALE = "sale-0001"
Deed = Callable[[Till], Any]
DEEDS: dict[str, Deed] = {
    "capture": lambda till: till.lane.holds.capture(SALE),
    "reversal": lambda till: till.lane.holds.reverse(SALE, "cashier"),
    "void": lambda till: till.lane.holds.void(SALE, "cashier"),
    "refund": lambda till: till.lane.holds.refund(SALE, None, request="whole", reason="cashier"),
    "close": lambda till: till.lane.settlement.close_day(LENDER),
    "part": lambda till: till.lane.holds.refund(SALE, 100, request="part", reason="cashier"),
}
STORIES: dict[str, tuple[str, tuple[str, ...], set[str]]] = {
    "held": ("later", (), {"capture", "reversal", "void"}),
    "sold": ("at_once", (), {"void", "refund"}),
    "captured": ("later", ("capture",), {"void", "refund"}),
    "refunded in part": ("at_once", ("part",), {"refund"}),
    "refunded": ("at_once", ("refund",), set()),
    "voided": ("at_once", ("void",), set()),
    "reversed": ("later", ("reversal",), set()),
    "of a day that is closed": ("at_once", ("close",), {"refund"}),
}


@pytest.fixture(autouse=True)
def _a_close_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.services.settlement.QUEUE_WAIT_S", 0.0)


@pytest.mark.parametrize("deed", sorted(CALLS.values()))
@pytest.mark.parametrize(("capture", "story", "may"), STORIES.values(), ids=STORIES)
def test_what_a_sale_says_may_be_done_changes_it_and_nothing_else_does(
    till: Till, capture: Any, story: tuple[str, ...], may: set[str], deed: str
) -> None:
    run(till.checkout.sell(order(SALE, 3_000, capture=capture), till.phone().code()))
    for step in story:
        run(DEEDS[step](till))
    before = till.counter.view(SALE)
    assert set(before["may"]) == may | {"reprint"}
    run(DEEDS[deed](till))
    assert (till.counter.view(SALE)["hold"] != before["hold"]) == (deed in may)


def test_a_declined_sale_and_one_without_a_code_can_only_be_given_up_or_printed(till: Till) -> None:
    run(till.counter.open_sale(order(SALE)))
    assert till.counter.view(SALE)["may"] == ["dismissal"]
    run(till.counter.open_sale(order(SALE), "no pass at all"))
    view = till.counter.view(SALE)
    assert (view["state"], view["may"]) == ("declined", ["reprint", "dismissal"])
