"""Lines that others use too, that end between two slips, or at whose end there is no printer at all."""

from __future__ import annotations

import socket
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.document import COPY_BANNER, Document, Pair, Text, to_text
from drivers.printers.pos_printer import POSPrinter
from drivers.printers.profiles import PROFILES
from drivers.registry import started
from drivers.virtual.printer import VirtualPrinter
from tests.drivers.conftest import HASTE, PrinterFactory
from tests.drivers.printers.scripted import ScriptedPrinter

SLIP = Document((Text("便利店", "center"), *(Pair(f"第 {n} 期", "¥100.00") for n in range(1, 13))), "zh-CN")
TEXT = to_text(SLIP, 48).strip("\n")
HURRY = replace(HASTE, answer_s=0.02, confirm_s=0.05, poll_s=0.01, quiet_s=0.01)
NO_PRINTER = {
    "a web server": b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nConnection: close\r\n\r\n",
    "a wrong speed": bytes.fromhex("f8 80 e6 fe 86 00 ff 98") * 3,
    "a shell": b"login: incorrect password\r\n",
}


@pytest.mark.parametrize("what", NO_PRINTER)
def test_nonsense_is_no_answer_and_nothing_is_printed_to_it(what: str, printer_at: PrinterFactory) -> None:
    nonsense = ScriptedPrinter(answers_everything_with=NO_PRINTER[what])
    outcome = printer_at(nonsense.address).print_document("a", SLIP, copy=False)
    nonsense.close()
    assert (outcome.rung, outcome.reason) == ("not_started", "garbled")
    assert "check the address" in outcome.remedy


class Answers:
    """A transport at whose other end something answers each write with the next of those bytes."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = iter(answers)
        self._pending = b""

    def open(self, timeout_s: float) -> None: ...

    def write(self, data: bytes, timeout_s: float) -> None:
        self._pending += next(self._answers, b"")

    def read(self, size_max: int, timeout_s: float) -> bytes:
        data, self._pending = self._pending, b""
        if not data:
            time.sleep(timeout_s / 50)
        return data

    def close(self) -> None: ...


class Babbling(Answers):
    """It answers what it is asked, and then without end that all before it is printed."""

    def read(self, size_max: int, timeout_s: float) -> bytes:
        return super().read(size_max, timeout_s) or b"\x00" * size_max


def test_a_line_that_never_stops_answering_ends_the_job_before_its_first_byte() -> None:
    printer = POSPrinter("front", Babbling([b"\x12"] * 1000), PROFILES["generic-80"], patience=HURRY)
    started(printer)
    outcome = printer.print_document("a", SLIP, copy=False)
    assert (outcome.rung, outcome.reason) == ("not_started", "garbled")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=64), max_size=12))
def test_whatever_a_line_answers_a_job_ends_with_an_outcome(answers: list[bytes]) -> None:
    printer = POSPrinter("front", Answers(answers), PROFILES["epson-tm-t88v-zh"], patience=HURRY)
    started(printer)
    outcome = printer.print_document("a", SLIP, copy=False)
    assert outcome.rung in ("confirmed", "sent_unconfirmed", "doubtful", "not_started")
    assert bool(outcome.remedy) is (outcome.rung != "confirmed")


def test_a_little_noise_on_a_good_line_disturbs_no_job(printer_at: PrinterFactory) -> None:
    noisy = ScriptedPrinter(before_each_answer=b"\xff", answer_paper_query=lambda count: b"\x00")
    outcome = printer_at(noisy.address).print_document("a", SLIP, copy=False)
    noisy.close()
    assert outcome.rung == "confirmed"


def test_between_two_slips_the_line_is_free_so_that_idle_drops_cost_nothing_and_other_tills_can_print(
    paper: VirtualPrinter, printer_at: PrinterFactory
) -> None:
    here, there = printer_at(paper.address), printer_at(paper.address)
    for _ in range(3):
        assert here.print_document("a", SLIP, copy=False).rung == "confirmed"
        assert there.print_document("b", SLIP, copy=False).rung == "confirmed"
    assert [slip.text for slip in paper.slips] == [TEXT] * 6


def test_while_another_till_holds_the_line_nothing_starts_and_the_sentence_says_so(
    paper: VirtualPrinter, printer_at: PrinterFactory
) -> None:
    printer = printer_at(paper.address)
    _, host, port = paper.address.split(":")
    with socket.create_connection((host, int(port))) as other:
        other.sendall(b"\x10\x04\x01")
        assert other.recv(1) == b"\x12"
        outcome = printer.print_document("a", SLIP, copy=False)
    assert (outcome.rung, outcome.reason) == ("not_started", "silent")
    assert "another till" in outcome.remedy
    assert printer.print_document("a", SLIP, copy=False).rung == "confirmed"
    assert [slip.text for slip in paper.slips if slip.complete] == [TEXT]


def test_a_power_cycle_loses_what_the_printer_kept_and_the_copy_comes_out_whole(
    paper: VirtualPrinter, printer_at: PrinterFactory
) -> None:
    printer = printer_at(paper.address)
    paper.paper_out(after_bytes=200)
    assert printer.print_document("job-1", SLIP, copy=False).rung == "doubtful"
    paper.unplug()
    assert printer.print_document("job-1", SLIP, copy=True).reason == "unreachable"
    paper.release()
    assert printer.print_document("job-1", SLIP, copy=True).rung == "confirmed"
    assert [slip.complete for slip in paper.slips] == [False, True]
    assert COPY_BANNER in paper.slips[-1].text
