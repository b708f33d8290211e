"""`counterfoil virtual …`: a day's mishaps on a running lane without hardware."""

from __future__ import annotations

from typing import Any

import pytest

from agent.cli.virtual import ACTS
from agent.demo.props import wait_for
from drivers.virtual.acts import ACTS as PLAYED
from drivers.virtual.acts import SCAN
from tests.cli.lane_on_disk import Command, LaneOnDisk


@pytest.fixture
def virtual(lane: LaneOnDisk) -> LaneOnDisk:
    """Everything at this lane is virtual, and lives in the agent."""
    lane.configure(
        printer=f'"virtual:{lane.root}/paper"',
        more=f'[scanner.spare]\naddress = "virtual:{lane.run_dir}/spare"\n'
        f'[display]\naddress = "virtual:{lane.run_dir}/pole"\n'
        '[drawer]\nattached = true\nopen_level = "high"\n',
    )
    return lane


def test_every_act_of_the_command_can_be_played_and_every_one_that_can_be_is_there() -> None:
    assert set(ACTS) == {SCAN} | {name for acts in PLAYED.values() for name in acts}


def test_a_roll_that_ends_is_told_until_there_is_paper_again(virtual: LaneOnDisk, counterfoil: Command) -> None:
    with virtual.running():
        assert counterfoil("virtual", "paper-out").out == "printer: the printer's roll is at its end.\n"
        out = counterfoil("print", "test")
        assert counterfoil("virtual", "well").out.startswith("spare, printer, display: everything is well again")
        again = counterfoil("print", "test")
    assert (out.code, "Put in a new paper roll" in out.out) == (4, True)
    assert again.code == 0


def test_what_is_scanned_is_read_by_the_lane(virtual: LaneOnDisk, counterfoil: Command) -> None:
    with virtual.running() as client:
        assert counterfoil("virtual", "scan", "4006381333931").out == "spare: a scanner reads a code.\n"
        wait_for("the code is read", lambda: good_scans(client.get("/v1/devices")) == 1, 30)


def good_scans(devices: list[dict[str, Any]]) -> int:
    return sum(row["counts"]["good_scan_count"] for row in devices if row["name"] == "spare")


def test_a_locked_drawer_does_not_open(virtual: LaneOnDisk, counterfoil: Command) -> None:
    with virtual.running():
        counterfoil("virtual", "drawer-lock")
        said = counterfoil("drawer", "open")
    assert (said.code, "whether it is locked" in said.out) == (4, True)


def test_what_cannot_be_played_says_why(virtual: LaneOnDisk, counterfoil: Command) -> None:
    stopped = counterfoil("virtual", "cover")
    with virtual.running():
        ambiguous = counterfoil("virtual", "unplug").err
        real = counterfoil("virtual", "unplug", "--device", "counter").err
    assert (stopped.code, "counterfoil run" in stopped.err) == (1, True)
    assert "Which of them? Name one: spare, printer, display" in ambiguous
    assert 'No virtual device counter knows "unplug".' in real
