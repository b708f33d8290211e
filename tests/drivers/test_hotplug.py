"""What is plugged in or out is told once, in the same words with udev and without."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from drivers.hotplug import Change, Hotplug
from drivers.inventory import Node

GUN = Node("serial", "/dev/ttyACM0", "gun", "0c2e", "0b6a")
PAD = Node("keyboard", "/dev/input/event3", "pad")


class Desk:
    """A list of devices that a test changes."""

    def __init__(self) -> None:
        self.nodes: tuple[Node, ...] = (PAD,)
        self.told: queue.Queue[Change] = queue.Queue()

    def __call__(self) -> tuple[Node, ...]:
        return self.nodes


def test_a_plug_and_an_unplug_are_told_once_each() -> None:
    desk = Desk()
    hotplug = Hotplug(desk.told.put, inventory=desk, poll_s=0.01, use_udev=False)
    desk.nodes = (PAD, GUN)
    assert desk.told.get(timeout=15) == Change((GUN,), ())
    desk.nodes = (PAD,)
    assert desk.told.get(timeout=15) == Change((), (GUN,))
    with pytest.raises(queue.Empty):
        desk.told.get(timeout=0.1)
    hotplug.close()


def test_a_listener_that_fails_misses_nothing_of_what_comes_next() -> None:
    desk = Desk()

    def fails_once(change: Change) -> None:
        desk.told.put(change)
        if len(change.added):
            raise RuntimeError("listener")

    hotplug = Hotplug(fails_once, inventory=desk, poll_s=0.01, use_udev=False)
    desk.nodes = (PAD, GUN)
    assert desk.told.get(timeout=15).added == (GUN,)
    desk.nodes = ()
    assert set(desk.told.get(timeout=15).removed) == {PAD, GUN}
    hotplug.close()


def test_a_machine_whose_udev_library_is_missing_is_looked_at_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyudev", None)
    hotplug = Hotplug(print, inventory=Desk(), poll_s=0.01, use_udev=True)
    assert not hotplug.is_told_by_udev
    hotplug.close()


def test_where_no_udev_runs_its_silent_channel_is_not_listened_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("drivers.hotplug._UDEV", tmp_path / "control")
    hotplug = Hotplug(print, inventory=Desk(), poll_s=0.01)
    assert not hotplug.is_told_by_udev
    hotplug.close()
