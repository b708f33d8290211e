"""The life of one device and the telling of it. Rule: a change is told once, and a full queue never stops a device.

`LivingDevice` is what every kind of device does alike with it; what a kind does at its line stays in its own file.
"""

from __future__ import annotations

import queue
import time
from typing import ClassVar

from drivers.device import Closable, DeviceEvent, DeviceState, ErrorEvent, OnEvent, Statistics, StatusUpdateEvent
from drivers.errors import LifeCycleError


class Life:
    """State, conditions, counters and events of one device."""

    def __init__(self, name: str, statistics: Statistics, on_event: OnEvent | None) -> None:
        self.name = name
        self.state = DeviceState()
        self.statistics = statistics
        self._on_event = on_event
        self._conditions: tuple[str, ...] = ()

    def step(self, event: str) -> None:
        """Open, claim, enable, close and so on. Raises LifeCycleError."""
        self.state = self.state.after(event)

    def became(self, reason: str, conditions: tuple[str, ...] = ()) -> None:
        """The device failed for that reason, or works again (""); tells it when that or the conditions are new."""
        before = (self.state, self._conditions)
        if not reason and self.state.name == "failed":
            self.statistics.add("reconnect_count")
        self.state = self.state.after("fail" if reason else "recover", reason)
        self.statistics.powered(not reason, time.monotonic())
        self._conditions = conditions or ((reason,) if reason else ())
        if (self.state, self._conditions) != before:
            self.tell(StatusUpdateEvent(self.name, self.state, self._conditions, time.monotonic()))

    def failed_once(self, reason: str) -> None:
        """One piece of work failed."""
        self.tell(ErrorEvent(self.name, reason, time.monotonic()))

    def tell(self, event: DeviceEvent) -> bool:
        """Hands an event over; one that finds the queue full is counted and gone. Returns whether it was taken."""
        try:
            if self._on_event is not None:
                self._on_event(event)
        except queue.Full:
            self.statistics.add("event_lost_count")
            return False
        return True


class LivingDevice:
    """A device with a life. A kind adds `enable`, `check_health` and its work; `kind` is its word in refusals."""

    kind: ClassVar[str]

    def __init__(
        self, name: str, counts: tuple[str, ...], on_event: OnEvent | None, stand_in: Closable | None = None
    ) -> None:
        """`counts` are the kind's own statistics; `stand_in` ends with the device."""
        self.name, self.stand_in = name, stand_in
        self.statistics = Statistics(*counts, "reconnect_count", "event_lost_count")
        self._life = Life(name, self.statistics, on_event)

    @property
    def state(self) -> DeviceState:
        """Where it is in its life; `failed` carries the reason of the last attempt."""
        return self._life.state

    def open(self) -> None:
        """Nothing is touched yet."""
        self._life.step("open")

    def claim(self) -> None:
        """Nothing is touched yet: each kind takes its line when it needs it, and for itself alone."""
        self._life.step("claim")

    def close(self) -> None:
        """Ends its life, and what stands in for it. A kind that holds a line or a thread ends that first."""
        self._life.step("close")
        if self.stand_in is not None:
            self.stand_in.close()

    def _require_enabled(self) -> None:
        if not self.state.usable:
            raise LifeCycleError(f"{self.kind} {self.name} is {self.state.name}, not enabled")
