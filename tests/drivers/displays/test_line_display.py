"""A display on a real pseudo-terminal: what the customer reads through unplugging, replugging and wrong characters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.device import ErrorEvent, StatusUpdateEvent
from drivers.displays.line_display import LineDisplay
from drivers.errors import AddressError, LifeCycleError, OptionError
from drivers.registry import open_display
from drivers.virtual.display import VirtualDisplay
from tests.drivers.conftest import Events

AMOUNT = ("合计", "￥1,234.50")


@pytest.fixture
def glass(tmp_path: Path) -> Iterator[VirtualDisplay]:
    display = VirtualDisplay(tmp_path / "pole")
    yield display
    display.close()


@pytest.fixture
def display_at(glass: VirtualDisplay, events: Events) -> Iterator[Callable[..., LineDisplay]]:
    built: list[LineDisplay] = []

    def build(character_set: str = "gb18030") -> LineDisplay:
        options = {"character_set": character_set, "baud": 19_200}
        built.append(open_display("pole", f"serial:{glass.path}", options, on_event=events.put))
        return built[-1]

    yield build
    for display in built:
        display.close()


def test_the_customer_reads_what_was_shown(glass: VirtualDisplay, display_at: Callable[..., LineDisplay]) -> None:
    display = display_at()
    assert display.show(AMOUNT) == ""
    assert glass.wait_for(AMOUNT)
    assert (glass.path.parent / "pole.txt").read_text() == "合计\n￥1,234.50\n"
    display.clear()
    assert glass.wait_for(("", ""))


def test_a_display_without_chinese_shows_the_next_choice(
    glass: VirtualDisplay, display_at: Callable[..., LineDisplay], events: Events
) -> None:
    display = display_at("ascii")
    assert display.show(AMOUNT, ("TOTAL", "CNY 1,234.50")) == ""
    assert glass.wait_for(("TOTAL", "CNY 1,234.50"))
    assert display.show(AMOUNT) == "not_displayable"
    assert display.state.name == "enabled"
    assert [e.reason for e in events.drain() if isinstance(e, ErrorEvent)] == ["not_displayable"]


def test_after_unplug_and_replug_the_last_screen_is_there_again_without_a_restart(
    glass: VirtualDisplay, display_at: Callable[..., LineDisplay], events: Events
) -> None:
    display = display_at()
    glass.unplug()
    assert display.show(AMOUNT) in ("unreachable", "lost")
    assert not display.check_health().good
    glass.replug()
    assert display.check_health().good
    assert glass.wait_for(AMOUNT)
    states = [e.state.name for e in events.drain() if isinstance(e, StatusUpdateEvent)]
    assert states[0] == "failed" and states[-1] == "enabled"


def test_a_plug_that_was_pulled_and_put_back_between_two_screens_costs_nothing(
    glass: VirtualDisplay, display_at: Callable[..., LineDisplay]
) -> None:
    display = display_at()
    display.show(AMOUNT)
    glass.replug()
    assert display.show(("x",)) == ""
    assert glass.wait_for(("x", ""))


def test_a_display_that_is_not_there_at_start_works_when_it_comes(tmp_path: Path, events: Events) -> None:
    display = open_display("pole", f"serial:{tmp_path}/pole", on_event=events.put)
    assert (display.state.name, display.state.reason) == ("failed", "unreachable")
    glass = VirtualDisplay(tmp_path / "pole")
    assert display.show(("here",)) == ""
    assert glass.wait_for(("here", ""))
    display.close()
    assert glass.wait_for(("", ""))
    glass.close()


def test_a_port_that_another_program_holds_says_so(
    glass: VirtualDisplay, display_at: Callable[..., LineDisplay], events: Events
) -> None:
    display_at()
    second = open_display("second", f"serial:{glass.path}", on_event=events.put)
    assert second.state.reason == "busy"
    second.close()


def test_a_virtual_display_comes_with_its_address(tmp_path: Path) -> None:
    display = open_display("pole", f"virtual:{tmp_path}/pole", {"character_set": "gb18030"})
    display.check_health("interactive")
    until_s = time.monotonic() + 15
    while not (text := tmp_path / "pole.txt").exists() or "测试" not in text.read_text():
        assert time.monotonic() < until_s
        time.sleep(0.02)
    display.close()


def test_a_display_is_used_only_between_enable_and_close(display_at: Callable[..., LineDisplay]) -> None:
    display = display_at()
    display.close()
    with pytest.raises(LifeCycleError):
        display.show(AMOUNT)
    assert display.check_health().text == "The device is closed."


@pytest.mark.parametrize(
    ("address", "options", "error"),
    [("file:/x", {}, AddressError), ("serial:/x", {"colour": "red"}, OptionError), ("tcp:x", {}, AddressError)],
)
def test_an_address_or_option_that_is_not_understood_is_refused(
    address: str, options: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        open_display("pole", address, options)
