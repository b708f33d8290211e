"""What has no moment of its own at which it is told: conditions, devices, what waits for the printer.

The one rule: looked at while somebody listens, told when it is another than before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from agent.services.events import Events

LOOK_S: Final = 0.5


class Watch:
    """``looks`` by the type of their event; each gives its data."""

    def __init__(self, events: Events, looks: Mapping[str, Callable[[], dict[str, Any]]]) -> None:
        self._events, self._looks = events, looks
        self._told: dict[str, dict[str, Any]] = {}

    async def run(self) -> None:
        while True:
            if self._events.has_listeners:
                self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Tell what has changed."""
        for kind, seen in self._looks.items():
            now = seen()
            if self._told.get(kind) != now:
                self._told[kind] = now
                self._events.publish(kind, now)
