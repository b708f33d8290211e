"""Links that open a page: each good once, for a few minutes, for one page.

The one rule: a port of this computer is open to all its users, so a page is opened by whoever may already ask the lane
something, and a link that others may read in a list of processes is used up by the browser that it was made for.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from agent.local.access import Caller

VALID_S: Final = 300
LINKS_MAX: Final = 32
"""So many wait to be used; one more ends the oldest."""
TICKET_BYTES: Final = 32


class PageLinks:
    """They end with the agent. ``now_s`` never goes back."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._open: dict[str, tuple[Caller, float]] = {}

    def make(self, page: Caller) -> str:
        """A ticket for a page's link, 64 hexadecimal digits."""
        while len(self._open) >= LINKS_MAX:
            del self._open[next(iter(self._open))]
        ticket = secrets.token_hex(TICKET_BYTES)
        self._open[ticket] = (page, self._now_s() + VALID_S)
        return ticket

    def use(self, page: Caller, ticket: str) -> bool:
        """Whether this opens the page; it does so no second time, and not for another page."""
        known = self._open.pop(ticket, None)
        return known is not None and known[0] is page and self._now_s() < known[1]
