"""Devices that are real on the wire: printers behind loopback TCP, scanners on pseudo-terminals."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.device import DataEvent, DeviceEvent
from drivers.printers.conversation import Patience
from drivers.printers.pos_printer import POSPrinter
from drivers.printers.profiles import profile_named
from drivers.transports.tcp import TcpTransport
from drivers.virtual.printer import VirtualPrinter

HASTE = Patience(connect_s=10.0, answer_s=2.0, write_s=2.0, confirm_s=15.0, poll_s=0.05, quiet_s=0.03)
"""Asks again soon, and waits long: on a busy machine a stand-in that answers takes its time too."""
PATIENCE_S = 30.0


class Events:
    """A consumer's bounded queue and what came through it."""

    def __init__(self) -> None:
        self._queue: queue.Queue[DeviceEvent] = queue.Queue(100)
        self.seen: list[DeviceEvent] = []
        self.put = self._queue.put_nowait

    def until(self, enough: Callable[[list[DeviceEvent]], bool], timeout_s: float = PATIENCE_S) -> list[DeviceEvent]:
        deadline_s = time.monotonic() + timeout_s
        while not enough(self.drain()):
            if time.monotonic() > deadline_s:
                raise AssertionError(f"still waiting after {timeout_s} s; seen: {self.seen}")
            time.sleep(0.005)
        return self.seen

    def drain(self) -> list[DeviceEvent]:
        while not self._queue.empty():
            self.seen.append(self._queue.get_nowait())
        return self.seen

    def codes(self, count: int, timeout_s: float = PATIENCE_S) -> list[tuple[bytes, str | None]]:
        self.until(lambda seen: sum(isinstance(e, DataEvent) for e in seen) >= count, timeout_s)
        return [(e.scan.raw, e.scan.symbology) for e in self.seen if isinstance(e, DataEvent)]


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[VirtualPrinter]:
    printer = VirtualPrinter(tmp_path / "slips")
    yield printer
    printer.close()


PrinterFactory = Callable[..., POSPrinter]


@pytest.fixture
def printer_at(events: Events) -> Iterator[PrinterFactory]:
    """Builds enabled printers at a `tcp:` address."""
    built: list[POSPrinter] = []

    def build(address: str, profile: str = "generic-80", patience: Patience = HASTE) -> POSPrinter:
        _, host, port = address.split(":")
        printer = POSPrinter(
            "front", TcpTransport(host, int(port)), profile_named(profile), patience=patience, on_event=events.put
        )
        printer.open()
        printer.claim()
        printer.enable()
        built.append(printer)
        return printer

    yield build
    for printer in built:
        printer.close()
