"""A scanner on a serial port. Rule: its thread outlives every unplug, and only puts values on the consumer's queue.

Half a code left by an unplug is forgotten: the first read after a replug never begins with another code's tail.
"""

from __future__ import annotations

import threading
import time

from drivers.device import Closable, DataEvent, DeviceState, Health, HealthLevel, OnEvent, Scan, Statistics
from drivers.errors import TransportError
from drivers.life import Life
from drivers.remedies import remedy_for
from drivers.scanners.framing import Code, Frame, Framer, Framing
from drivers.transports.transport import Transport

_READ_BYTES = 4096
_POLL_S = 0.2
"""How often the thread looks whether it should end."""
_OPEN_S = 1.0
_BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Waits between attempts to open; the last one repeats."""
_STATISTICS = (
    "good_scan_count",
    "failed_scan_count",
    "communication_error_count",
    "reconnect_count",
    "event_lost_count",
)


class SerialScanner:
    """One scanner, one thread. Events: DataEvent for a code, ErrorEvent for dropped bytes, StatusUpdateEvent."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        framing: Framing,
        on_event: OnEvent,
        *,
        stand_in: Closable | None = None,
    ) -> None:
        self.name = name
        self.statistics = Statistics(*_STATISTICS)
        self.stand_in = stand_in
        self._transport = transport
        self._framing = framing
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
        """Starts the thread and waits for its first attempt. A port that is not there makes it `failed` until it is."""
        self._life.step("enable")
        self._thread.start()
        self._attempted.wait(_OPEN_S)

    def close(self) -> None:
        """Ends the thread, within a second, and the device for good."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._life.step("close")
        if self.stand_in is not None:
            self.stand_in.close()

    def check_health(self, level: HealthLevel = "external") -> Health:
        """All levels report the port: a serial scanner answers nothing; a person proves it by a scan."""
        reason = self.state.reason
        return Health(level, reason, remedy_for(reason) or f"The scanner's port is {self.state.name}; scan any code.")

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._transport.open(_OPEN_S)
                self._life.became("")
                self._attempted.set()
                failures = 0
                self._read_codes()
            except TransportError as error:
                self.statistics.add("communication_error_count")
                self._life.became(error.reason)
                self._attempted.set()
                self._stopping.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1
            finally:
                self._transport.close()

    def _read_codes(self) -> None:
        framer, pause_s = Framer(self._framing), self._framing.pause_or_standard_s
        last_byte_s = time.monotonic()
        while not self._stopping.is_set():
            data = self._transport.read(_READ_BYTES, min(pause_s, _POLL_S))
            now_s = time.monotonic()
            if data:
                last_byte_s = now_s
                self._tell(framer.feed(data), now_s)
            elif now_s - last_byte_s >= pause_s:
                self._tell(framer.pause(), now_s)

    def _tell(self, frames: tuple[Frame, ...], now_s: float) -> None:
        for frame in frames:
            if isinstance(frame, Code):
                self.statistics.add("good_scan_count")
                self._life.tell(DataEvent(Scan(frame.raw, frame.symbology, self.name, now_s)))
            else:
                self.statistics.add("failed_scan_count")
                self._life.failed_once(frame.reason)
