"""Which time it is, and whether to believe it (lease rule 14).

The one rule: time is trusted only (a) as monotonic time since a nonce-bound signed time whose round trip was
short, or (b) as a wall clock that is not behind the floor, has not jumped, and is not longer than the holdover after
the last such signed time. Anything else is untrusted, and a lane with an untrusted clock does not stand in (promise 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

ROUND_TRIP_MAX_S: Final = 5
"""A signed time that took longer says too little about now (rule 14)."""

WALL_JUMP_MAX_S: Final = 30
"""Wall and monotonic time may drift apart by so much in one run (slewing, leap smearing); more is a jump."""


ClockSource: TypeAlias = Literal["signed", "holdover", "untrusted"]
"""By which of the two ways time is trusted, if it is."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last signed time that this process saw: ``time_s`` was true at monotonic ``monotonic_s``."""

    time_s: int
    monotonic_s: float


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What the clock says, and why it is believed; ``offset_s`` is now - wall."""

    now_s: int
    trusted: bool
    source: ClockSource
    offset_s: int = 0
    reason: str | None = None

    @property
    def as_entry_field(self) -> tuple[bool, int]:
        return (self.trusted, self.offset_s)


def read(
    wall_s: int,
    monotonic_s: float,
    *,
    anchor: Anchor | None,
    started: Anchor,
    floor_s: int,
    last_signed_s: int | None,
    holdover_max_s: int,
    recorded_s: int = 0,
) -> ClockReading:
    """Judge the clock now.

    ``anchor``: the last signed time of this process. ``started``: wall and monotonic time when it began.
    ``floor_s``: the latest of signed time and snapshot build time. ``last_signed_s``: the last signed time ever
    accepted, kept across restarts (None: never). ``recorded_s``: trusted time of the last journal entry before this
    process began; a wall clock behind it went back while nobody looked, a signed time overrules it. The monotonic
    clock must count suspended time.
    """
    if anchor is not None:
        now = anchor.time_s + int(monotonic_s - anchor.monotonic_s)
        if now >= floor_s:
            return ClockReading(now, True, "signed", now - wall_s)
    if last_signed_s is None:
        return _untrusted(wall_s, floor_s, "no signed time yet")
    floor_s = max(floor_s, recorded_s)
    if wall_s < floor_s:
        return _untrusted(wall_s, floor_s, f"the clock is {floor_s - wall_s} s behind the last record")
    if wall_s - last_signed_s > holdover_max_s:
        return _untrusted(wall_s, floor_s, f"no signed time for {wall_s - last_signed_s} s")
    jump_s = (wall_s - started.time_s) - (monotonic_s - started.monotonic_s)
    if abs(jump_s) > WALL_JUMP_MAX_S:
        return _untrusted(wall_s, floor_s, f"the wall clock jumped by {int(jump_s)} s")
    return ClockReading(wall_s, True, "holdover")


def accept_signed(time_s: int, *, sent_monotonic_s: float, received_monotonic_s: float) -> Anchor | None:
    """A nonce-bound signed time becomes an anchor if its round trip was short; None if it says too little.

    The signed moment lies inside the round trip; taking it as the moment of receipt errs to the past, by at most
    ROUND_TRIP_MAX_S.
    """
    if not 0 <= received_monotonic_s - sent_monotonic_s <= ROUND_TRIP_MAX_S:
        return None
    return Anchor(time_s, received_monotonic_s)


def raise_floor(floor_s: int, candidate_s: int, *, fresh_signed: bool, forward_jump_max_s: int) -> int:
    """The new floor. A large jump forward needs a fresh signed time: one future document must not poison it."""
    if candidate_s <= floor_s:
        return floor_s
    if floor_s and candidate_s - floor_s > forward_jump_max_s and not fresh_signed:
        return floor_s
    return candidate_s


def _untrusted(wall_s: int, floor_s: int, reason: str) -> ClockReading:
    # Entries must still be ordered in time: an untrusted record is never dated before the floor.
    now = max(wall_s, floor_s)
    return ClockReading(now, False, "untrusted", now - wall_s, reason)
