"""Journals that stand still: at an entry whose effect this program fails to work out.

The one rule: such a journal keeps its entries and holds up no other one. The entry is not set aside, because it takes
effect when the program is mended (promise 2); until then people are told: once in the log, and in ``lanes`` as long as
it lasts.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Final

from backend.schema import Journal

FRAMES_MAX: Final = 6

log = logging.getLogger("counterfoil.backend")


class Standstills:
    """What this process has run into. Whoever begins to post anew runs into it again, so nothing is stored."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, int], tuple[int, str]] = {}

    def note(self, lane: str, epoch: int, number: int, error: Exception) -> None:
        met = (number, type(error).__name__)
        if self._at.get((lane, epoch)) != met:
            self._at[lane, epoch] = met
            log.error("the journal %s %d stands still at entry %d: %s", lane, epoch, number, told(error))

    def of(self, row: Journal) -> str | None:
        """Where the journal stands still, and the kind of error, in a sentence; None if it goes on."""
        number, kind = self._at.get((row.lane, row.epoch), (0, ""))
        return f"at entry {number}: {kind}" if number == row.posted_number + 1 else None


def told(error: Exception) -> str:
    """A fault of this program: its kind and place. Its text may quote a request or an entry, so no log has it."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    place = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"{type(error).__name__} at {place}"
