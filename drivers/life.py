"""The life of one device and the telling of it. Rule: a change is told once, and a full queue never stops a device."""

from __future__ import annotations

import queue
import time

from drivers.device import DeviceEvent, DeviceState, ErrorEvent, OnEvent, Statistics, StatusUpdateEvent


class Life:
    """State, conditions, counters and events of one device; devices hold one, they do not inherit it."""

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
