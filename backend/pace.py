"""When stored entries take effect while uploads stream in.

The one rule: an acknowledgement goes before a posting, because a lane waits for the one and nobody for the other; yet
no entry waits for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

QUIET_S: Final = 0.05
"""After an upload, for so long the next one is waited for."""
PATIENCE_S: Final = 5.0
"""An entry that has been stored for so long takes effect although uploads still come."""
BREATH_S: Final = 0.1
"""Between two turns that are taken although uploads still come."""


class Pace:
    """``clock`` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_upload = self._last_turn = clock() - QUIET_S
        self._waiting_since: float | None = None

    def uploaded(self) -> None:
        """Entries have just been stored that were too many to post at once."""
        self._last_upload = self._clock()
        if self._waiting_since is None:
            self._waiting_since = self._last_upload

    def posted(self, entries: int) -> None:
        """A turn is over; without entries, nothing waits any more."""
        self._last_turn = self._clock()
        if not entries:
            self._waiting_since = None

    def wait_s(self) -> float:
        """For how long to post nothing, seconds; 0: a turn may begin."""
        now = self._clock()
        if self._waiting_since is None or now - self._waiting_since < PATIENCE_S:
            return max(0.0, self._last_upload + QUIET_S - now)
        return max(0.0, min(self._last_upload + QUIET_S, self._last_turn + BREATH_S) - now)
