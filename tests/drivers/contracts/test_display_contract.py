"""What every line display keeps to, at a port of our own and at the end of a cable that socat lays."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from drivers.displays.line_display import LineDisplay
from drivers.errors import LifeCycleError
from drivers.registry import open_display
from drivers.remedies import REMEDIES
from drivers.virtual.display import Glass, VirtualDisplay
from tests.drivers.conftest import Events

AMOUNT = ("合计", "￥1,234.50")


class Pole(Protocol):
    """What the customer stands before."""

    path: Path

    def wait_for(self, rows: tuple[str, ...]) -> bool: ...
    def unplug(self) -> None: ...
    def replug(self) -> None: ...
    def close(self) -> None: ...


class OnCable:
    """The bytes that leave the port of a null-modem cable, on a glass."""

    def __init__(self, path: Path) -> None:
        self.path, self._far = path, path.with_suffix(".far")
        self.replug()

    def wait_for(self, rows: tuple[str, ...]) -> bool:
        deadline_s = time.monotonic() + 15
        while self._glass.rows != rows and time.monotonic() < deadline_s:
            try:
                self._glass.feed(os.read(self._end, 4096))
            except BlockingIOError:
                time.sleep(0.01)
        return self._glass.rows == rows

    def unplug(self) -> None:
        self._socat.kill()
        self._socat.wait()
        os.close(self._end)
        for end in (self.path, self._far):
            end.unlink(missing_ok=True)

    def replug(self) -> None:
        self._glass = Glass()
        self._socat = subprocess.Popen(["socat", *(f"pty,raw,echo=0,link={end}" for end in (self._far, self.path))])
        while not (self.path.exists() and self._far.exists()):
            time.sleep(0.005)
        self._end = os.open(self._far, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)

    close = unplug


@pytest.fixture(params=[VirtualDisplay, OnCable])
def pole(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pole]:
    if request.param is OnCable and shutil.which("socat") is None:
        pytest.skip("socat is not installed")
    stands = request.param(tmp_path / "pole")
    yield stands
    stands.close()


@pytest.fixture
def opened(pole: Pole, events: Events) -> Iterator[Callable[[], LineDisplay]]:
    built: list[LineDisplay] = []

    def build() -> LineDisplay:
        options = {"character_set": "gb18030"}
        built.append(open_display("pole", f"serial:{pole.path}", options, on_event=events.put))
        return built[-1]

    yield build
    for display in built:
        display.close()


def test_the_customer_reads_what_was_shown_and_nothing_of_what_was_before(pole: Pole, opened) -> None:
    display = opened()
    assert display.show(("a row of twenty signs", "and another")) in ("", "not_displayable")
    assert display.show(AMOUNT) == ""
    assert pole.wait_for(AMOUNT)
    display.clear()
    assert pole.wait_for(("", ""))


def test_unplugged_it_says_so_and_replugged_it_shows_the_last_screen(pole: Pole, opened) -> None:
    display = opened()
    pole.unplug()
    reason = display.show(AMOUNT)
    assert (display.state.name, display.state.reason) == ("failed", reason)
    assert display.check_health().text == REMEDIES[reason].en
    pole.replug()
    assert display.check_health().good
    assert pole.wait_for(AMOUNT)


def test_closed_it_shows_nothing_more(pole: Pole, opened) -> None:
    display = opened()
    display.show(AMOUNT)
    display.close()
    with pytest.raises(LifeCycleError):
        display.show(AMOUNT)
    assert pole.wait_for(("", ""))
