"""A code scanner. Rule: its thread outlives every unplug, and only puts values on the consumer's queue.

What it is read through is a transport (a serial port, a camera's process), what makes codes of the bytes is a stream.
Half a code left by an unplug is forgotten: the first read after a replug never begins with another code's tail.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from drivers.device import Closable, DataEvent, DeviceState, Health, HealthLevel, OnEvent, Scan, Statistics
from drivers.errors import TransportError
from drivers.life import Life
from drivers.remedies import remedy_for
from drivers.scanners.framing import Code, Frame
from drivers.transports.transport import Transport

_READ_BYTES = 4096
_POLL_S = 0.2
"""How often the thread looks whether it should end."""
_FIRST_ATTEMPT_S = 1.0
_BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Waits between attempts to open; the last one repeats."""
_STEADY_S = 5.0
"""A line that broke sooner than this was not mended: the next wait is longer, not the first one again."""
_STATISTICS = (
    "good_scan_count",
    "failed_scan_count",
    "communication_error_count",
    "reconnect_count",
    "event_lost_count",
)


class CodeStream(Protocol):
    """Codes out of one connection's bytes; `Framer` is the one for serial lines."""

    @property
    def pause_s(self) -> float:
        """After so long without a byte, `pause` is called."""

    def feed(self, data: bytes) -> tuple[Frame, ...]:
        """The codes that these bytes complete."""

    def pause(self) -> tuple[Frame, ...]:
        """Nothing came for the pause."""


class Scanner:
    """One scanner, one thread. Events: DataEvent for a code, ErrorEvent for dropped bytes, StatusUpdateEvent."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        new_stream: Callable[[], CodeStream],
        on_event: OnEvent,
        *,
        open_s: float = 1.0,
        stand_in: Closable | None = None,
    ) -> None:
        self.name = name
        self.statistics = Statistics(*_STATISTICS)
        self.stand_in = stand_in
        self._transport = transport
        self._new_stream = new_stream
        self._open_s = open_s
        self._life = Life(name, self.statistics, on_event)
        self._stopping = threading.Event()
        self._attempted = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"scanner-{name}", daemon=True)

    @property
    def state(self) -> DeviceState:
        """Where it is in its life."""
        return self._life.state

    def open(self) -> None:
        """Nothing is touched yet."""
        self._life.step("open")

    def claim(self) -> None:
        """Scanners are exclusive; the port itself is locked when its thread opens it."""
        self._life.step("claim")

    def enable(self) -> None:
        """Starts the thread and waits a second for its first attempt. What is not there is `failed` until it is."""
        self._life.step("enable")
        self._thread.start()
        self._attempted.wait(_FIRST_ATTEMPT_S)

    def close(self) -> None:
        """Ends the thread, after at most the attempt to open that it is in, and the device for good."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._life.step("close")
        if self.stand_in is not None:
            self.stand_in.close()

    def check_health(self, level: HealthLevel = "external") -> Health:
        """All levels report the line: a scanner answers no question; a person proves it by a scan."""
        reason = self.state.reason
        return Health(level, reason, remedy_for(reason) or f"The scanner's line is {self.state.name}; scan any code.")

    def _run(self) -> None:
        failures, opened_s = 0, 0.0
        while not self._stopping.is_set():
            try:
                self._transport.open(self._open_s)
                opened_s = time.monotonic()
                self._life.became("")
                self._attempted.set()
                self._read_codes()
            except TransportError as error:
                failures = 0 if opened_s and time.monotonic() - opened_s >= _STEADY_S else failures
                opened_s = 0.0
                self.statistics.add("communication_error_count")
                self._life.became(error.reason)
                self._attempted.set()
                self._stopping.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1
            finally:
                self._transport.close()

    def _read_codes(self) -> None:
        stream = self._new_stream()
        last_byte_s = time.monotonic()
        while not self._stopping.is_set():
            data = self._transport.read(_READ_BYTES, min(stream.pause_s, _POLL_S))
            now_s = time.monotonic()
            if data:
                last_byte_s = now_s
                self._tell(stream.feed(data), now_s)
            elif now_s - last_byte_s >= stream.pause_s:
                self._tell(stream.pause(), now_s)

    def _tell(self, frames: tuple[Frame, ...], now_s: float) -> None:
        for frame in frames:
            if isinstance(frame, Code):
                self.statistics.add("good_scan_count")
                self._life.tell(DataEvent(Scan(frame.raw, frame.symbology, self.name, now_s)))
            else:
                self.statistics.add("failed_scan_count")
                self._life.failed_once(frame.reason)
