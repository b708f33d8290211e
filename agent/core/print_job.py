"""The life of a print job: one slip, from the spool to paper or to its end. A table.

The one rule: whatever may be on paper already is ``doubtful`` and never ``queued`` again, so that the next piece of
paper says that it is a copy. An event that the table does not name is refused with ``PrintJobRefused``.

    queued --begin--> printing --came_out--> printed
      |  ^--held_back----'  '--doubt--> doubtful --begin--> printing (as a copy)
      '--lapse--> expired <--lapse---------'
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class PrintJobState(StrEnum):
    QUEUED = "queued"
    PRINTING = "printing"
    PRINTED = "printed"
    DOUBTFUL = "doubtful"
    EXPIRED = "expired"


class PrintJobEvent(StrEnum):
    """``held_back``: nothing left for the printer. ``doubt``: something may be on paper, from this try or one before.
    ``lapse``: too old, or in doubt too often."""

    BEGIN = "begin"
    CAME_OUT = "came_out"
    HELD_BACK = "held_back"
    DOUBT = "doubt"
    LAPSE = "lapse"


TRANSITIONS: Final[Mapping[tuple[PrintJobState, PrintJobEvent], PrintJobState]] = {
    (PrintJobState.QUEUED, PrintJobEvent.BEGIN): PrintJobState.PRINTING,
    (PrintJobState.QUEUED, PrintJobEvent.LAPSE): PrintJobState.EXPIRED,
    (PrintJobState.PRINTING, PrintJobEvent.CAME_OUT): PrintJobState.PRINTED,
    (PrintJobState.PRINTING, PrintJobEvent.HELD_BACK): PrintJobState.QUEUED,
    (PrintJobState.PRINTING, PrintJobEvent.DOUBT): PrintJobState.DOUBTFUL,
    (PrintJobState.DOUBTFUL, PrintJobEvent.BEGIN): PrintJobState.PRINTING,
    (PrintJobState.DOUBTFUL, PrintJobEvent.LAPSE): PrintJobState.EXPIRED,
}

FINAL: Final = frozenset({PrintJobState.PRINTED, PrintJobState.EXPIRED})
UNPRINTED: Final = tuple(state for state in PrintJobState if state not in FINAL)


class PrintJobRefused(Exception):
    """The event does not fit the job's state."""

    def __init__(self, state: PrintJobState, event: PrintJobEvent) -> None:
        super().__init__(f"a print job that is {state} has no {event}")
        self.state, self.event = state, event


def next_state(state: PrintJobState, event: PrintJobEvent) -> PrintJobState:
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise PrintJobRefused(state, event) from None
