"""This computer: its clocks, its signals, its init system. What the composition root hands to the lane.

The one rule: nothing here knows of a sale.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time


class MachineClock:
    """The clocks of this computer. CLOCK_BOOTTIME goes on while it sleeps."""

    def wall_s(self) -> int:
        return int(time.time())

    def monotonic_s(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


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
