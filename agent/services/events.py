"""What happens at the lane, told to everybody who listens.

The one rule: one that does not keep up loses the oldest, never the lane's time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

EVENTS_WAITING_MAX: Final = 1000
Listener: TypeAlias = "asyncio.Queue[dict[str, Any] | None]"


@dataclass(slots=True)
class Events:
    """Tells every listener; one that does not keep up loses the oldest, never the lane's time."""

    _listeners: set[Listener] = field(default_factory=set)
    _count: int = 0

    def publish(self, kind: str, body: dict[str, Any]) -> None:
        self._count += 1
        event = {"id": self._count, "type": kind, "data": body}
        self._tell(event)

    @property
    def has_listeners(self) -> bool:
        return bool(self._listeners)

    def close(self) -> None:
        """The agent stops: there will be no further event."""
        self._tell(None)

    def _tell(self, event: dict[str, Any] | None) -> None:
        for listener in self._listeners:
            if listener.full():
                listener.get_nowait()
            listener.put_nowait(event)

    def subscribe(self) -> Listener:
        """A queue of events, ended by None."""
        listener: Listener = asyncio.Queue(EVENTS_WAITING_MAX)
        self._listeners.add(listener)
        return listener

    def unsubscribe(self, listener: Listener) -> None:
        self._listeners.discard(listener)
