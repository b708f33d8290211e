"""How often a lane may ask.

The one rule: a lane that asks too often is told when to come back; it never slows another lane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from backend.problems import Problem

RATE_PER_S: Final = 100
BURST: Final = 500
"""A checkout asks twice a second at its busiest, and drains a night's queue in a few dozen uploads."""


@dataclass
class _Bucket:
    tokens: float
    filled_at: int


@dataclass
class RequestRate:
    """A token bucket for each lane: ``burst`` requests at once, ``rate_per_s`` in the long run."""

    clock: Callable[[], int]
    rate_per_s: int = RATE_PER_S
    burst: int = BURST
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def take(self, lane: str) -> None:
        """Raises Problem("too_many_requests"). Lanes come from verified certificates, so their number is bounded."""
        now_s = self.clock()
        bucket = self._buckets.setdefault(lane, _Bucket(self.burst, now_s))
        # A clock that was set back gives nothing and takes nothing.
        bucket.tokens = min(self.burst, bucket.tokens + max(0, now_s - bucket.filled_at) * self.rate_per_s)
        bucket.filled_at = now_s
        if bucket.tokens < 1:
            raise Problem("too_many_requests", f"at most {self.rate_per_s} a second", retry_after_s=1)
        bucket.tokens -= 1
