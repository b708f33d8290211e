"""How long to wait before the next attempt: exponential, with full jitter and a cap.

The one rule: the pause is drawn from the whole range, so that lanes that lost the backend together do not come back
together ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015: full jitter).
"""

from typing import Final, Protocol

BASE_S: Final = 0.5


class Rng(Protocol):
    """The one thing needed of a random.Random."""

    def uniform(self, a: float, b: float, /) -> float: ...


class Backoff:
    """Counts attempts in a row and says how long to pause before the next one, in seconds."""

    def __init__(self, cap_s: float, rng: Rng, *, base_s: float = BASE_S) -> None:
        self._cap_s = cap_s
        self._base_s = base_s
        self._rng = rng
        self._attempts = 0

    def next_s(self, at_least_s: float | None = None) -> float:
        """The next pause: uniform in 0 .. min(cap, base * 2^attempts), but at least what the other side asked for."""
        ceiling_s = min(self._cap_s, self._base_s * 2 ** min(self._attempts, 32))
        self._attempts += 1
        return max(at_least_s or 0.0, self._rng.uniform(0.0, ceiling_s))

    def reset(self) -> None:
        self._attempts = 0
