"""A serial line as slow as it is set: what it needs for the bytes is no fault of the printer."""

from __future__ import annotations

import os
import select
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from drivers.document import Document, Text
from drivers.printers.escpos import render
from drivers.printers.pos_printer import POSPrinter
from drivers.printers.profiles import PROFILES
from drivers.transports.serial_port import SerialSettings, SerialTransport
from tests.drivers.conftest import HASTE

BAUD = 460_800
WRITE_S = 0.5
DRAWN = replace(PROFILES["generic-58-mute"], characters="none")
SLIP = Document(tuple(Text(f"第 {n} 期 花呗") for n in range(1, 61)))


@contextmanager
def line_of(bytes_per_s: int) -> Iterator[str]:
    """A port at whose end a printer takes that many bytes a second."""
    master, slave = os.openpty()
    tty.setraw(slave)
    ended = threading.Event()

    def take() -> None:
        """By the clock since the first byte: who comes late takes what should have been taken by now."""
        while not (select.select([master], [], [], 0.02)[0] or ended.is_set()):
            continue
        began_s, taken = time.monotonic(), 0
        while not ended.wait(0.02):
            due = int((time.monotonic() - began_s) * bytes_per_s)
            while taken < due and select.select([master], [], [], 0)[0]:
                taken += len(os.read(master, due - taken))

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    try:
        yield os.ttyname(slave)
    finally:
        ended.set()
        taker.join(1)
        os.close(slave)
        os.close(master)


def printer_on(path: str, baud: int) -> POSPrinter:
    patience = replace(HASTE, write_s=WRITE_S)
    printer = POSPrinter("front", SerialTransport(path, SerialSettings(baud=baud)), DRAWN, patience=patience)
    for step in (printer.open, printer.claim, printer.enable):
        step()
    return printer


def test_a_drawn_slip_takes_longer_than_patience_on_a_slow_line_and_is_printed() -> None:
    job = render(SLIP, DRAWN, "a")
    needs_s = SerialSettings(baud=BAUD).line_s(len(job))
    assert needs_s > 2 * WRITE_S
    with line_of(BAUD // 10) as path:
        start_s = time.monotonic()
        outcome = printer_on(path, BAUD).print_document("a", SLIP, copy=False)
        assert outcome.rung == "sent_unconfirmed"
        assert time.monotonic() - start_s > WRITE_S


def test_a_printer_slower_than_its_line_ends_the_job_in_bounded_time() -> None:
    with line_of(500) as path:
        outcome = printer_on(path, BAUD).print_document("a", SLIP, copy=False)
    assert (outcome.rung, outcome.reason) == ("doubtful", "stalled")


@pytest.mark.parametrize(("settings", "bits"), [({}, 10), ({"parity": "even"}, 11), ({"data_bits": 7}, 9)])
def test_a_byte_takes_its_bits(settings: dict[str, object], bits: int) -> None:
    assert SerialSettings(baud=9600, **settings).line_s(960) == pytest.approx(bits / 10)  # type: ignore[arg-type]
