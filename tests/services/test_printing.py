"""The spool: a slip comes out once, unmarked; whatever may be a second piece of paper says that it is a copy."""

import asyncio
from collections.abc import Callable
from typing import Any, get_args

import pytest

from agent.core.journal import Kind
from agent.core.print_job import PrintJobState, next_state
from agent.errors import LedgerUnavailable
from agent.ports import PrintMark
from agent.services.printing import DOUBTS_MAX, EVENT_OF_RUNG
from drivers.printers.outcome import Rung
from tests.services.lanes import Till, order
from tests.uplink.world import run


def sell(till: Till, sale_id: str = "sale-0001") -> None:
    run(till.checkout.sell(order(sale_id, 100), till.phone().code()))


def print_for(till: Till, seconds: float) -> None:
    async def printing() -> None:
        task = asyncio.create_task(till.lane.spooler.run())
        await asyncio.sleep(seconds)
        task.cancel()

    run(printing())


def state_of(till: Till, sale_id: str = "sale-0001") -> tuple[str, str | None]:
    (job,) = till.ledger.print_jobs(sale_id)
    return job.state, job.rung


def printed_entries(till: Till) -> list[tuple[str, bool]]:
    return [(sealed.entry.body["rung"], sealed.entry.body["copy"]) for sealed in till.entries(Kind.PRINT)]


@pytest.mark.parametrize("rung", ["confirmed", "sent_unconfirmed"])
def test_a_slip_that_came_out_is_journaled_with_how_sure_that_is(till: Till, rung: str) -> None:
    sell(till)
    till.printer.results = [rung]
    print_for(till, 5)
    assert till.printer.paper == [(1, False)]
    assert state_of(till) == ("printed", rung)
    assert printed_entries(till) == [(rung, False)]


def test_a_printer_that_cannot_print_now_gets_the_slip_later_and_unmarked(till: Till) -> None:
    sell(till)
    till.printer.results = ["not_started"] * 3
    print_for(till, 2.5)
    assert (till.printer.paper, state_of(till)) == ([], ("queued", "not_started"))
    assert till.lane.spooler.condition.reason == "paper_out"
    print_for(till, 5)
    assert till.printer.paper == [(1, False)]
    assert till.lane.spooler.condition.reason is None


def test_a_slip_in_doubt_comes_out_again_as_a_copy(till: Till) -> None:
    sell(till)
    till.printer.results = ["doubtful", "not_started", "confirmed"]
    print_for(till, 10)
    assert till.printer.paper == [(1, False), (1, True)]
    assert printed_entries(till) == [("confirmed", True)]


def test_a_printer_that_never_tells_does_not_print_copies_all_night(till: Till) -> None:
    sell(till, "sale-0001")
    sell(till, "sale-0002")
    till.printer.results = ["doubtful"] * (DOUBTS_MAX + 1)
    print_for(till, 3_600)
    assert till.printer.paper == [(1, False), *[(1, True)] * DOUBTS_MAX, (2, False)]
    assert state_of(till, "sale-0001") == ("expired", "doubtful")


def test_slips_come_out_in_the_order_of_their_sales_one_at_a_time(till: Till) -> None:
    for number in range(5):
        sell(till, f"sale-000{number}")
    print_for(till, 5)
    assert till.printer.paper == [(number, False) for number in range(1, 6)]


def test_a_slip_that_is_too_old_is_not_printed(till: Till) -> None:
    sell(till)
    till.clock.pass_time(4 * 3_600 + 1)
    print_for(till, 5)
    assert (till.printer.paper, state_of(till)) == ([], ("expired", None))


def test_a_slip_that_a_crash_found_in_the_printer_comes_out_as_a_copy(till: Till) -> None:
    sell(till)

    async def power_cut() -> None:
        assert state_of(till) == ("printing", None), "marked before the first byte leaves"
        raise RuntimeError("the process dies here")

    till.printer.before = power_cut
    with pytest.raises(RuntimeError):
        run(till.lane.spooler.run())
    till.restart()
    till.printer.before = None
    print_for(till, 5)
    assert till.printer.paper == [(1, True)]


@pytest.mark.parametrize("times", [1, 2])
def test_a_slip_that_waits_at_a_restart_comes_out_unmarked(till: Till, times: int) -> None:
    sell(till)
    for _ in range(times):
        till.restart()
        run(till.lane.start())
    print_for(till, 5)
    assert till.printer.paper == [(1, False)]


def test_a_slip_whose_paper_could_not_be_recorded_comes_out_as_a_copy(till: Till) -> None:
    """The disk is full at the moment when the slip is through: the loop begins again, and the paper is out already."""
    sell(till)
    ledger: Any = till.ledger
    record: Callable[..., Any] = ledger.record

    def full(*_: Any, **__: Any) -> None:
        ledger.record = record
        raise LedgerUnavailable("the disk is full")

    ledger.record = full
    with pytest.raises(LedgerUnavailable):
        run(till.lane.spooler.run())
    print_for(till, 5)
    assert till.printer.paper == [(1, False), (1, True)]


def test_without_a_printer_slips_are_kept(till: Till) -> None:
    till.kill()
    till.printer = None  # type: ignore[assignment]
    till.start()
    sell(till)
    run(till.lane.spooler.run())
    assert state_of(till) == ("queued", None)


def test_every_rung_has_a_state_that_the_spool_knows(till: Till) -> None:
    sell(till)
    for rung in get_args(Rung):
        state = next_state(PrintJobState.PRINTING, EVENT_OF_RUNG[rung])
        till.ledger.mark_print_job(PrintMark(1, state, rung))
        assert state_of(till) == (state, rung)
