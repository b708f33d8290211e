"""This computer: its clocks, its threads, its init system. What the composition root hands to the lane.

The one rule: nothing here knows of a sale.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time

from agent.ports import PrintResult
from drivers.document import Document
from drivers.printers.pos_printer import POSPrinter
from drivers.remedies import remedy_for


class MachineClock:
    """The clocks of this computer. CLOCK_BOOTTIME goes on while it sleeps."""

    def wall_s(self) -> int:
        return int(time.time())

    def monotonic_s(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class ThreadedPrinter:
    """A blocking printer as the services see it: one job at a time, in a thread."""

    def __init__(self, printer: POSPrinter) -> None:
        self._printer = printer

    async def print_document(self, job_id: int, document: Document, *, copy: bool) -> PrintResult:
        outcome = await asyncio.to_thread(self._printer.print_document, str(job_id), document, copy=copy)
        return PrintResult(outcome.rung, outcome.reason or None, remedy_for(outcome.reason) or None)


def stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop


def notify(state: str) -> None:
    """Tell systemd (sdnotify(3)); nothing without it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to, contextlib.suppress(OSError):
        to.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
