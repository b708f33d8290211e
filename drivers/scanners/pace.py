"""How much processor time a line may cost. Rule: whatever it sends, a sale beside it has its processor.

A broken device on USB sends a megabyte of noise a second, for hours; reading it would take a whole core.
"""

from __future__ import annotations

from typing import Final

SHARE_MAX: Final = 0.05
"""Of one core, for long: a hundred times what a quick cashier's scanner costs."""
BURST_S: Final = 0.5
"""Processor time that may be spent at once: thousands of codes."""


class Pace:
    """The account of one line: it fills with time and is drawn upon by work."""

    def __init__(self, share_max: float = SHARE_MAX, burst_s: float = BURST_S) -> None:
        self._share_max, self._burst_s = share_max, burst_s
        self._left_s, self._last_s = burst_s, 0.0

    def rest_s(self, spent_s: float, now_s: float) -> float:
        """After `spent_s` of processor time: how long to leave the line alone. `now_s` is monotonic."""
        filled_s = self._left_s + (now_s - self._last_s) * self._share_max
        self._left_s, self._last_s = min(self._burst_s, filled_s) - spent_s, now_s
        return max(0.0, -self._left_s / self._share_max)
