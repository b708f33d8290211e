"""A cash drawer behind a printer: it opens now or not at all, and says no more than its sensor knows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.device import ErrorEvent, StatusUpdateEvent
from drivers.document import Document, Text
from drivers.drawers.cash_drawer import CashDrawer, Kick, Opening
from drivers.errors import LifeCycleError, OptionError
from drivers.virtual.printer import VirtualPrinter
from tests.drivers.conftest import Events, PrinterFactory


@pytest.fixture
def drawer_at(paper: VirtualPrinter, printer_at: PrinterFactory, events: Events) -> Callable[..., CashDrawer]:
    def build(profile: str = "epson-tm-t88v-zh", kick: Kick | None = None) -> CashDrawer:
        drawer = CashDrawer("till", printer_at(paper.address, profile), kick, events.put)
        for step in (drawer.open, drawer.claim, drawer.enable):
            step()
        return drawer

    return build


@pytest.mark.parametrize(
    ("kick", "command"),
    [
        (Kick(), b"\x1bp\x00\x3c\x3c"),
        (Kick(pin=5, pulse_ms=50), b"\x1bp\x01\x19\x19"),
        (Kick(pulse_ms=500), b"\x1bp\x00\xfa\xfa"),
    ],
)
def test_the_pulse_is_counted_in_units_of_two_milliseconds(kick: Kick, command: bytes) -> None:
    assert kick.command == command


@pytest.mark.parametrize("wrong", [{"pin": 3}, {"pulse_ms": 40}, {"pulse_ms": 121}, {"open_level": "up"}])
def test_a_kick_that_no_drawer_could_take_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError):
        Kick(**wrong)


# The fault; the profile; the polarity; what is said of the drawer.
TABLE = {
    "sensed": (lambda p: None, "epson-tm-t88v-zh", "model", Opening(True)),
    "sensed, polarity set by hand": (lambda p: None, "generic-80", "high", Opening(True)),
    "polarity not known": (lambda p: None, "generic-80", "model", Opening(None, "drawer_not_sensed")),
    "no sensor": (lambda p: None, "epson-tm-t88v-zh", "none", Opening(None, "drawer_not_sensed")),
    "no return channel": (VirtualPrinter.mute, "generic-80-mute", "high", Opening(None, "drawer_not_sensed")),
    "locked": (VirtualPrinter.lock_drawer, "epson-tm-t88v-zh", "model", Opening(False, "drawer_stuck")),
    "paper out": (VirtualPrinter.paper_out, "epson-tm-t88v-zh", "model", Opening(False, "paper_out")),
    "cover open": (VirtualPrinter.cover_open, "epson-tm-t88v-zh", "model", Opening(False, "cover_open")),
    "unplugged": (VirtualPrinter.unplug, "epson-tm-t88v-zh", "model", Opening(False, "unreachable")),
    "silent": (VirtualPrinter.mute, "generic-80", "high", Opening(False, "silent")),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_is_said_of_a_drawer(case: str, paper: VirtualPrinter, drawer_at: Callable[..., CashDrawer]) -> None:
    fault, profile, open_level, expected = TABLE[case]
    drawer = drawer_at(profile, Kick(open_level=open_level))
    fault(paper)
    assert drawer.open_drawer() == expected
    counts = drawer.statistics.snapshot()
    assert (counts["drawer_good_open_count"], counts["drawer_failed_open_count"]) == (
        (0, 1) if expected.opened is False else (1, 0)
    )


def test_a_drawer_that_could_not_open_does_not_open_later_by_itself(
    paper: VirtualPrinter, drawer_at: Callable[..., CashDrawer]
) -> None:
    drawer = drawer_at()
    paper.paper_out()
    assert drawer.open_drawer().opened is False
    paper.release()
    assert drawer.drawer_opened() is False
    assert drawer.state.name == "enabled"


def test_an_opening_and_a_closing_are_told_once_each(
    paper: VirtualPrinter, drawer_at: Callable[..., CashDrawer], events: Events
) -> None:
    drawer = drawer_at()
    assert drawer.open_drawer().opened
    assert not drawer.wait_for_close(0.05, look_s=0.01)
    paper.close_drawer()
    assert drawer.wait_for_close(15.0, look_s=0.01)
    told = [e.conditions for e in events.drain() if isinstance(e, StatusUpdateEvent) and e.device == "till"]
    assert told[-2:] == [("drawer_open",), ()]
    assert not [e for e in events.seen if isinstance(e, ErrorEvent)]


def test_polarity_decides_what_a_level_means(paper: VirtualPrinter, drawer_at: Callable[..., CashDrawer]) -> None:
    assert drawer_at("generic-80", Kick(open_level="low")).drawer_opened() is True
    assert drawer_at("generic-80", Kick(open_level="high")).drawer_opened() is False


def test_an_opening_puts_nothing_on_paper_and_the_next_slip_is_whole(
    paper: VirtualPrinter, printer_at: PrinterFactory, drawer_at: Callable[..., CashDrawer]
) -> None:
    drawer = drawer_at()
    drawer.open_drawer()
    assert printer_at(paper.address).print_document("a", Document((Text("slip"),)), copy=False).rung == "confirmed"
    assert [slip.text for slip in paper.slips] == ["slip"]


def test_a_drawer_is_used_only_between_enable_and_close(drawer_at: Callable[..., CashDrawer]) -> None:
    drawer = drawer_at()
    assert drawer.check_health().text == "The drawer is closed."
    drawer.close()
    with pytest.raises(LifeCycleError):
        drawer.open_drawer()
    assert drawer.check_health().text == "The device is closed."


def test_an_interactive_check_opens_it(drawer_at: Callable[..., CashDrawer]) -> None:
    assert drawer_at().check_health("interactive").text == "The drawer says that it is open."
