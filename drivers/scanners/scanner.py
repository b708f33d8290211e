"""A code scanner. Rule: its thread outlives every unplug and every fault, and only puts values on the consumer's queue.

What it is read through is a transport (a serial port, a camera's process), what makes codes of the bytes is a stream.
Half a code left by an unplug is forgotten: the first read after a replug never begins with another code's tail.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, Protocol

from drivers.device import Closable, DataEvent, Health, HealthLevel, OnEvent, Scan
from drivers.errors import TransportError
from drivers.life import LivingDevice
from drivers.remedies import remedy_for
from drivers.scanners.article import article_in
from drivers.scanners.data_queue import DataQueue
from drivers.scanners.framing import Code, Frame
from drivers.scanners.pace import Pace
from drivers.transports.transport import Transport

LOG = logging.getLogger(__name__)
_READ_BYTES = 4096
_POLL_S = 0.2
"""How often the thread looks whether it should end."""
_FIRST_ATTEMPT_S = 1.0
_BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Waits between attempts to open; the last one repeats."""
_COMMANDS_MAX = 16
_WRITE_S = 1.0
_INTERACTIVE_S = 15.0
"""How long a person is given to scan a code in an interactive check."""
_STEADY_S = 5.0
"""A line that broke sooner than this was not mended: the next wait is longer, not the first one again."""
_STATISTICS = ("good_scan_count", "failed_scan_count", "stale_scan_count", "communication_error_count")


class CodeStream(Protocol):
    """Codes out of one connection's bytes; `Framer` is the one for serial lines."""

    @property
    def pause_s(self) -> float:
        """After so long without a byte, `pause` is called."""

    def feed(self, data: bytes) -> tuple[Frame, ...]:
        """The codes that these bytes complete."""

    def pause(self) -> tuple[Frame, ...]:
        """Nothing came for the pause."""


class Scanner(LivingDevice):
    """One scanner, one thread. Events: DataEvent for a code, ErrorEvent for dropped bytes, StatusUpdateEvent."""

    kind: ClassVar = "scanner"

    def __init__(
        self,
        name: str,
        transport: Transport,
        new_stream: Callable[[], CodeStream],
        on_event: OnEvent,
        *,
        open_s: float = 1.0,
        stand_in: Closable | None = None,
        one_at_a_time: bool = False,
    ) -> None:
        """`one_at_a_time`: after each DataEvent the consumer calls `enable_data` when it is ready for the next."""
        super().__init__(name, _STATISTICS, on_event, stand_in)
        self._transport = transport
        self._new_stream = new_stream
        self._open_s = open_s
        self._data = DataQueue(self._hand_over, self._forgotten, one_at_a_time=one_at_a_time)
        self._commands: queue.Queue[bytes] = queue.Queue(_COMMANDS_MAX)
        self._stopping = threading.Event()
        self._wanted = threading.Event()
        self._attempted = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"scanner-{name}", daemon=True)

    def enable(self) -> None:
        """Starts the thread and waits a second for its first attempt. What is not there is `failed` until it is."""
        self._life.step("enable")
        self._thread.start()
        self._attempted.wait(_FIRST_ATTEMPT_S)

    def close(self) -> None:
        """Ends the thread, after at most the attempt to open that it is in, and the device for good."""
        self._stopping.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join()
        super().close()

    def try_now(self) -> None:
        """Something was plugged in: a device that is waiting for its next attempt makes it at once."""
        self._wanted.set()

    def enable_data(self) -> None:
        """The consumer has taken the last DataEvent and is ready for the next one; any thread may call this."""
        self._data.enable(time.monotonic())

    def send(self, command: bytes) -> None:
        """A command such as a beep (`drivers.scanners.commands`), sent between two reads; none outlives its line."""
        with suppress(queue.Full):
            self._commands.put_nowait(command)

    def clear_input(self) -> None:
        """Forgets the reads that wait."""
        self._data.clear()

    @property
    def data_count(self) -> int:
        """How many reads wait for the consumer."""
        return self._data.data_count

    def check_health(self, level: HealthLevel = "external") -> Health:
        """internal and external: thread and line, as a scanner answers no question; interactive: a person scans."""
        if level == "interactive" and not self.state.reason:
            return self._scanned_by_a_person()
        reason = self.state.reason or ("" if self._thread.is_alive() else "driver_fault")
        return Health(level, reason, remedy_for(reason) or f"The scanner's line is {self.state.name}; scan any code.")

    def _scanned_by_a_person(self) -> Health:
        before, until_s = self.statistics.snapshot()["good_scan_count"], time.monotonic() + _INTERACTIVE_S
        while time.monotonic() < until_s:
            if self.statistics.snapshot()["good_scan_count"] > before:
                return Health("interactive", "", "A code was read.")
            time.sleep(_POLL_S)
        return Health("interactive", "not_scanned", remedy_for("not_scanned"))

    def _run(self) -> None:
        failures, opened_s = 0, 0.0
        while not self._stopping.is_set():
            try:
                self._transport.open(self._open_s)
                opened_s = time.monotonic()
                self._life.became("")
                self._attempted.set()
                self._read_codes()
            except Exception as error:  # a fault of this program too costs this device a pause, and no other anything
                failures = 0 if opened_s and time.monotonic() - opened_s >= _STEADY_S else failures
                opened_s = 0.0
                self._failed(error)
                self._wanted.wait(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1
                self._wanted.clear()
            finally:
                self._transport.close()

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, TransportError):
            LOG.error("the driver of %s failed", self.name, exc_info=error)
        self.statistics.add("communication_error_count")
        self._life.became(error.reason if isinstance(error, TransportError) else "driver_fault")
        self._attempted.set()

    def _read_codes(self) -> None:
        stream, pace = self._new_stream(), Pace()
        self._commands = queue.Queue(_COMMANDS_MAX)
        last_byte_s = time.monotonic()
        while not self._stopping.is_set():
            while not self._commands.empty():
                self._transport.write(self._commands.get_nowait(), _WRITE_S)
            data = self._transport.read(_READ_BYTES, min(stream.pause_s, _POLL_S))
            now_s = time.monotonic()
            if data:
                last_byte_s = now_s
                began_s = time.thread_time()
                self._tell(stream.feed(data), now_s)
                self._stopping.wait(pace.rest_s(time.thread_time() - began_s, now_s))
            elif now_s - last_byte_s >= stream.pause_s:
                self._tell(stream.pause(), now_s)

    def _tell(self, frames: tuple[Frame, ...], now_s: float) -> None:
        for frame in frames:
            if isinstance(frame, Code):
                self.statistics.add("good_scan_count")
                article = article_in(frame.raw, frame.symbology)
                self._data.put(Scan(frame.raw, frame.symbology, self.name, now_s, article))
            else:
                self.statistics.add("failed_scan_count")
                self._life.failed_once(frame.reason)

    def _hand_over(self, scan: Scan) -> bool:
        return self._life.tell(DataEvent(scan))

    def _forgotten(self, _: Scan) -> None:
        self.statistics.add("stale_scan_count")
        self._life.failed_once("too_old")
