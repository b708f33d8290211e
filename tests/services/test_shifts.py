"""A shift is in the journal or it was not: opened once, counted once, and what it sold is what lies between."""

from typing import Any

import pytest

from agent.core.journal import BODIES, Kind
from agent.core.shift import Shift
from agent.services.hold_desk import Refused
from tests.services.lanes import LENDER, Till, order
from tests.uplink.world import run


def sell(till: Till, minor: int, sale_id: str) -> None:
    run(till.checkout.sell(order(sale_id, minor), till.phone().code()))


def opened(till: Till, operator: str = "7", float_minor: int = 20_000) -> Any:
    return till.lane.shifts.open(operator, float_minor, "CNY")


def report(till: Till) -> dict[str, Any]:
    newest = till.lane.shifts.newest()
    assert newest is not None
    return dict(run(till.lane.shifts.report(newest)))


@pytest.mark.parametrize(
    ("counted_minor", "cash_minor", "difference_minor"), [(20_000, 0, 0), (25_000, 5_100, -100), (19_050, -1_000, 50)]
)
def test_the_count_is_compared_with_the_float_and_the_cash_that_was_taken(
    till: Till, counted_minor: int, cash_minor: int, difference_minor: int
) -> None:
    opened(till)
    sell(till, 3_000, "sale-0001")
    closed = till.lane.shifts.close(counted_minor, cash_minor)
    assert isinstance(closed, Shift)
    assert closed.expected_minor == 20_000 + cash_minor, "credit puts nothing into the drawer"
    assert closed.difference_minor == difference_minor


def test_a_shift_tells_what_was_sold_in_it_and_nothing_of_before_or_after(till: Till) -> None:
    sell(till, 100, "sale-0001")
    opened(till)
    sell(till, 2_000, "sale-0002")
    till.lane.shifts.close(20_000, 0)
    sell(till, 300, "sale-0003")
    (credit,) = report(till)["lenders"]
    assert credit["lender"] == LENDER
    assert credit["totals"]["captured"] == {"count": 1, "minor": 2_000}


def test_an_open_shift_survives_a_restart_and_a_repeated_call(till: Till) -> None:
    first = opened(till)
    till.restart()
    assert opened(till) == first == till.lane.shifts.newest()
    assert opened(till, "8") == Refused("shift_open")
    closed = till.lane.shifts.close(20_000, 0)
    till.restart()
    assert till.lane.shifts.close(20_000, 0) == closed == till.lane.shifts.newest()
    assert till.lane.shifts.close(1, 0) == Refused("shift_none"), "another count of a closed shift"
    assert opened(till, "8").number == 2


def test_there_is_nothing_to_close_before_a_shift_was_opened(till: Till) -> None:
    assert till.lane.shifts.newest() is None
    assert till.lane.shifts.close(0, 0) == Refused("shift_none")


def test_both_entries_have_the_fields_that_the_protocol_names_and_move_no_credit(till: Till) -> None:
    left = till.left()
    opened(till)
    till.lane.shifts.close(1, 2)
    for kind in (Kind.SHIFT_OPEN, Kind.SHIFT_CLOSE):
        (sealed,) = till.entries(kind)
        assert sorted(sealed.entry.body) == sorted(BODIES[kind])
        assert (sealed.entry.lender, sealed.entry.sale_id) == (None, None)
    assert till.left() == left
    assert report(till)["lenders"] == []
