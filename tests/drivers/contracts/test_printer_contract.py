"""What every printer and its drawer keep to, on the network and on a port, at our stand-in and at others' programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from drivers.device import ErrorEvent, StatusUpdateEvent
from drivers.document import Document, Pair, Text, to_text
from drivers.errors import LifeCycleError
from drivers.printers.pos_printer import POSPrinter
from drivers.registry import open_drawer, open_printer
from drivers.remedies import REMEDIES
from tests.drivers.conftest import Events
from tests.drivers.contracts.papers import FAULTS, Paper

SLIP = Document((Text("Example Market", "center"), *(Pair(f"Item {n}", f"{n}.00") for n in range(9))))
ROWS = [row.strip() for row in to_text(SLIP, 48).splitlines() if row.strip()]
HASTE = {"answer_s": 20.0, "confirm_s": 20.0, "write_s": 20.0, "quiet_s": 0.05}
"""Limits for a machine that is busy; nothing here waits for their end."""
Open = Callable[[], POSPrinter]


@pytest.fixture
def opened(paper: Paper, events: Events) -> Iterator[Open]:
    built: list[POSPrinter] = []

    def build() -> POSPrinter:
        built.append(open_printer("front", paper.address, {"profile": paper.profile, **HASTE}, on_event=events.put))
        return built[-1]

    yield build
    for printer in built:
        printer.close()


def rows(text: str) -> list[str]:
    return [row.strip() for row in text.splitlines() if row.strip() and not row.startswith("[")]


def test_a_slip_comes_out_whole_is_confirmed_and_counted(paper: Paper, opened: Open) -> None:
    printer = opened()
    assert printer.print_document("job-1", SLIP, copy=False).rung == "confirmed"
    assert [rows(text) for text in paper.slips(1)] == [ROWS]
    counts = printer.statistics.snapshot()
    assert (counts["job_confirmed_count"], counts["paper_cut_count"]) == (1, 1)
    assert printer.check_health().good


@pytest.mark.parametrize("fault", FAULTS)
def test_while_something_is_wrong_nothing_is_started_and_afterwards_each_slip_comes_out_once(
    paper: Paper, opened: Open, events: Events, fault: str
) -> None:
    printer = opened()
    paper.fault(fault)
    outcome = printer.print_document("job-1", SLIP, copy=False)
    assert (outcome.rung, outcome.reason) == ("not_started", fault)
    assert (outcome.remedy, outcome.remedy_in("zh-CN")) == (REMEDIES[fault].en, REMEDIES[fault].zh)
    printer.read_status()
    paper.mend(fault)
    assert printer.print_document("job-1", SLIP, copy=False).rung == "confirmed"
    assert [rows(text) for text in paper.slips(1)] == [ROWS]
    told = [event.conditions for event in events.drain() if isinstance(event, StatusUpdateEvent)]
    assert told == [(fault,), ()], "once each"
    assert [event.reason for event in events.seen if isinstance(event, ErrorEvent)] == [fault]


def test_paper_near_its_end_is_told_once_and_stops_nothing(paper: Paper, opened: Open, events: Events) -> None:
    printer = opened()
    paper.fault("near_end")
    for number in range(2):
        assert printer.print_document(f"job-{number}", SLIP, copy=False).rung == "confirmed"
    assert len(paper.slips(2)) == 2
    told = [event.conditions for event in events.drain() if isinstance(event, StatusUpdateEvent)]
    assert told == [("paper_near_end",)]


def test_without_power_it_is_unreachable_and_afterwards_it_prints_without_a_restart(
    paper: Paper, opened: Open, events: Events
) -> None:
    printer = opened()
    paper.unplug()
    outcome = printer.print_document("job-1", SLIP, copy=False)
    assert (outcome.rung, outcome.reason, printer.state.name) == ("not_started", "unreachable", "failed")
    assert not printer.check_health().good
    paper.replug()
    assert printer.print_document("job-1", SLIP, copy=False).rung == "confirmed"
    assert [rows(text) for text in paper.slips(1)] == [ROWS]
    states = [event.state.name for event in events.drain() if isinstance(event, StatusUpdateEvent)]
    assert states[-2:] == ["failed", "enabled"]


def test_its_drawer_opens_now_or_not_at_all_and_is_sensed(paper: Paper, opened: Open) -> None:
    drawer = open_drawer("till", opened())
    assert drawer.drawer_opened() is False
    assert drawer.open_drawer().opened is True
    paper.close_drawer()
    assert drawer.wait_for_close(15.0, look_s=0.02)
    paper.fault("paper_out")
    assert (drawer.open_drawer().opened, drawer.drawer_opened()) == (False, False)
    paper.mend("paper_out")
    assert drawer.drawer_opened() is False, "the pulse did not wait for the roll"
    drawer.close()


def test_closed_it_takes_no_slip(paper: Paper, opened: Open) -> None:
    printer = opened()
    printer.close()
    for use in (lambda: printer.print_document("job-1", SLIP, copy=False), printer.read_status, printer.enable):
        with pytest.raises(LifeCycleError):
            use()
    assert paper.slips(0) == []
