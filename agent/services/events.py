"""What happens at the lane, told to everybody who listens, and to whoever comes back what happened meanwhile.

The one rule: the last events are kept once, for all; who does not keep up, or comes back too late, is told so by a
``reset`` and asks for the whole state. Nobody costs the lane time or memory.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

EVENTS_KEPT: Final = 1000
RESET: Final = "reset"
Event = dict[str, Any]
"""{id, type, data}. The id is RUN-NUMBER: a number of another run of the agent names nothing."""


@dataclass(slots=True)
class Events:
    """``run`` tells the ids of this run of the agent from those of another."""

    run: str = field(default_factory=lambda: os.urandom(4).hex())
    _kept: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    _count: int = 0
    _is_closed: bool = False
    _listeners: set[Listener] = field(default_factory=set)

    def publish(self, kind: str, body: dict[str, Any]) -> None:
        self._count += 1
        self._kept.append({"id": f"{self.run}-{self._count}", "type": kind, "data": body})
        self._wake()

    def publish_if_heard(self, kind: str, make_body: Callable[[], dict[str, Any]]) -> None:
        """As ``publish``, but nothing is made while nobody listens; who comes back then gets a reset."""
        if self._listeners:
            self.publish(kind, make_body())
        else:
            self._count += 1
            self._kept.clear()

    @property
    def has_listeners(self) -> bool:
        return bool(self._listeners)

    @property
    def last_id(self) -> str:
        return f"{self.run}-{self._count}"

    def close(self) -> None:
        """The agent stops: there will be no further event."""
        self._is_closed = True
        self._wake()

    def subscribe(self, after: str | None = None) -> Listener:
        """Who hears every event after the one with this id; None: from now on."""
        listener = Listener(self, self._count if after is None else self._number(after))
        self._listeners.add(listener)
        return listener

    def unsubscribe(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def after(self, number: int) -> Event | None:
        """The event after this number: a reset if it is lost, None if it has not happened."""
        if number == self._count:
            return None
        missed = self._count - number
        if number < 0 or missed > len(self._kept):
            return {"id": self.last_id, "type": RESET, "data": None}
        return self._kept[-missed]

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def _number(self, event_id: str) -> int:
        """The number of an event of this run; -1, which is always lost, for what is none."""
        run, _, number = event_id.partition("-")
        known = run == self.run and number.isascii() and number.isdigit() and len(number) <= 15
        return int(number) if known and int(number) <= self._count else -1

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.news.set()


class Listener:
    """Where one reader stands."""

    def __init__(self, events: Events, number: int) -> None:
        self._events, self._number = events, number
        self.news = asyncio.Event()

    async def get(self) -> Event | None:
        """The next event; None when there will be none. A ``reset`` stands for all that was missed."""
        while True:
            event = self.get_nowait()
            if event is not None or self._events.is_closed:
                return event
            self.news.clear()
            await self.news.wait()

    def get_nowait(self) -> Event | None:
        """The next event if it has happened already."""
        event = self._events.after(self._number)
        if event is not None:
            self._number = int(event["id"].rpartition("-")[2])
        return event
