"""A beeper sounds when it is told to, as its printer's model wants to be told, and never later by itself."""

from __future__ import annotations

import pytest

from drivers.beepers.beeper import COMMANDS, TIMES, Beeper, Sound
from drivers.errors import OptionError
from drivers.registry import open_beeper
from drivers.virtual.printer import VirtualPrinter
from tests.drivers.conftest import PrinterFactory


def beeper_on(paper: VirtualPrinter, printer_at: PrinterFactory, profile: str) -> Beeper:
    return open_beeper("beeper", printer_at(paper.address, profile))


@pytest.mark.parametrize("profile", ["epson-tm-t88v-zh", "clone-80"])
def test_what_was_refused_sounds_otherwise_than_what_waits(
    profile: str, paper: VirtualPrinter, printer_at: PrinterFactory
) -> None:
    beeper = beeper_on(paper, printer_at, profile)
    assert [beeper.sound("attention"), beeper.sound("refused")] == ["", ""]
    assert beeper.check_health("interactive").good
    assert wait_for_beeps(paper, 3) == [TIMES["attention"], TIMES["refused"], TIMES["attention"]]
    assert paper.slips == []


def wait_for_beeps(paper: VirtualPrinter, count: int) -> list[int]:
    import time

    until_s = time.monotonic() + 15
    while len(paper.beeps) < count and time.monotonic() < until_s:
        time.sleep(0.01)
    return paper.beeps


FAULTS = {
    "paper_out": VirtualPrinter.paper_out,
    "cover_open": VirtualPrinter.cover_open,
    "unreachable": VirtualPrinter.unplug,
    "silent": VirtualPrinter.mute,
}


@pytest.mark.parametrize("reason", FAULTS)
def test_a_beeper_that_cannot_sound_says_why_and_does_not_sound_later(
    reason: str, paper: VirtualPrinter, printer_at: PrinterFactory
) -> None:
    beeper = beeper_on(paper, printer_at, "clone-80")
    FAULTS[reason](paper)
    assert (beeper.sound("refused"), beeper.state.reason) == (reason, reason)
    paper.release()
    assert beeper.check_health().good
    assert (paper.beeps, beeper.state.name) == ([], "enabled")
    assert beeper.statistics.snapshot()["beep_failed_count"] == 1


def test_a_model_of_which_nobody_knows_the_command_is_refused_until_it_is_named(
    paper: VirtualPrinter, printer_at: PrinterFactory
) -> None:
    printer = printer_at(paper.address, "generic-80")
    with pytest.raises(OptionError, match="name the command"):
        open_beeper("beeper", printer)
    with pytest.raises(OptionError, match="command must be"):
        Sound("trumpet")
    assert open_beeper("beeper", printer, {"command": "esc_b"}).sound("attention") == ""


def test_the_commands_are_those_of_the_manuals() -> None:
    assert {name: command(3) for name, command in COMMANDS.items()} == {
        "esc_paren_a": bytes.fromhex("1b 28 41 03 00 61 01 03"),
        "esc_b": bytes.fromhex("1b 42 03 02"),
        "bel": b"\x07\x07\x07",
    }
