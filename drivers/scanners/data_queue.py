"""Reads on their way to the POS, one at a time. Rule: none is lost while the consumer is busy, no stale one used.

As UnifiedPOS has it: a DataEvent is handed over only while data events are enabled, and its delivery disables them;
the consumer enables them again when it is done. What has waited for too long belongs to a sale that is over.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from drivers.device import Scan

WAITING_MAX: Final = 64
AGE_MAX_S: Final = 10.0


class DataQueue:
    """Called from the device's thread (`put`) and the consumer's (`enable`); neither ever waits for the other.

    `hand_over` returns whether the consumer took it; `forget` is told of each read that was dropped.
    """

    def __init__(
        self, hand_over: Callable[[Scan], bool], forget: Callable[[Scan], None], *, one_at_a_time: bool
    ) -> None:
        self._hand_over, self._forget, self._one_at_a_time = hand_over, forget, one_at_a_time
        self._lock = threading.Lock()
        self._waiting: deque[Scan] = deque()
        self._enabled = True

    @property
    def data_count(self) -> int:
        """How many reads wait."""
        return len(self._waiting)

    def put(self, scan: Scan) -> None:
        """A new read: handed over at once, or kept until the consumer is ready; the oldest makes room."""
        with self._lock:
            self._waiting.append(scan)
            crowded_out = self._waiting.popleft() if len(self._waiting) > WAITING_MAX else None
        if crowded_out is not None:
            self._forget(crowded_out)
        self._deliver(scan.monotonic_s)

    def enable(self, now_s: float) -> None:
        """The consumer is ready for the next one."""
        self._enabled = True
        self._deliver(now_s)

    def clear(self) -> None:
        """Forgets what waits (UnifiedPOS ClearInput), without a word: the consumer wanted it so."""
        with self._lock:
            self._waiting.clear()

    def _deliver(self, now_s: float) -> None:
        while (scan := self._next()) is not None:
            if now_s - scan.monotonic_s > AGE_MAX_S:
                self._forget(scan)
                self._enabled = True
            elif not self._hand_over(scan):
                self._enabled = True  # nobody took it, so nobody will enable

    def _next(self) -> Scan | None:
        with self._lock:
            if not self._enabled or not self._waiting:
                return None
            self._enabled = not self._one_at_a_time
            return self._waiting.popleft()
