"""The life of an entry in the queue to the backend. The other of the two tables; a hold's life is not its business.

The one rule: entries leave in order and are acknowledged cumulatively, so the queue *is* the journal past a
cursor: no row per entry is written or deleted. Only what the backend could not simply accept has a row of its own.

    stored --send--> sent --acknowledge--> acknowledged
      ^                '--rewind--> stored     '--dispute--> disputed   '--park--> parked   '--quarantine--> quarantined
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class EntryState(StrEnum):
    STORED = "stored"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    DISPUTED = "disputed"
    PARKED = "parked"
    QUARANTINED = "quarantined"


class EntryEvent(StrEnum):
    SEND = "send"
    ACKNOWLEDGE = "acknowledge"
    DISPUTE = "dispute"
    PARK = "park"
    QUARANTINE = "quarantine"
    REWIND = "rewind"


TRANSITIONS: Final[Mapping[tuple[EntryState, EntryEvent], EntryState]] = {
    (EntryState.STORED, EntryEvent.SEND): EntryState.SENT,
    (EntryState.SENT, EntryEvent.SEND): EntryState.SENT,
    (EntryState.SENT, EntryEvent.ACKNOWLEDGE): EntryState.ACKNOWLEDGED,
    (EntryState.SENT, EntryEvent.DISPUTE): EntryState.DISPUTED,
    (EntryState.SENT, EntryEvent.PARK): EntryState.PARKED,
    (EntryState.SENT, EntryEvent.QUARANTINE): EntryState.QUARANTINED,
    (EntryState.SENT, EntryEvent.REWIND): EntryState.STORED,
    (EntryState.ACKNOWLEDGED, EntryEvent.REWIND): EntryState.STORED,
}

RESULT_EVENTS: Final[Mapping[str, EntryEvent]] = {
    "accepted": EntryEvent.ACKNOWLEDGE,
    "duplicate": EntryEvent.ACKNOWLEDGE,
    "disputed": EntryEvent.DISPUTE,
    "parked": EntryEvent.PARK,
    "quarantined": EntryEvent.QUARANTINE,
}
"""What the backend answers to each entry, as an event of this table."""


class ForwardingRefused(Exception):
    """The event does not fit the entry's state."""


def next_state(state: EntryState, event: EntryEvent) -> EntryState:
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise ForwardingRefused(f"an entry that is {state} cannot {event}") from None


def state_after(result: str) -> str:
    """What becomes of a sent entry. A result that this version does not know is kept as it is, for people to read."""
    event = RESULT_EVENTS.get(result)
    return result if event is None else next_state(EntryState.SENT, event)


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the journal of one epoch has gone: 0 <= acknowledged_through <= sent_through."""

    sent_through: int = 0
    acknowledged_through: int = 0

    def sent(self, through: int) -> Cursor:
        return Cursor(max(self.sent_through, through), self.acknowledged_through)

    def acknowledged(self, through: int) -> Cursor:
        """Cumulative. Raises ForwardingRefused when the backend claims what was never sent."""
        if through > self.sent_through:
            raise ForwardingRefused(f"acknowledged through {through}, sent only through {self.sent_through}")
        return Cursor(self.sent_through, max(self.acknowledged_through, through))

    def rewound(self, expected: int) -> Cursor:
        """The backend expects ``expected`` next (a lost answer, or a restored backend: rule 13): send from there again.

        Raises ForwardingRefused when it expects what was never sent: then somebody else used this lane's numbers.
        """
        if not 1 <= expected <= self.sent_through + 1:
            raise ForwardingRefused(f"backend expects {expected}, sent only through {self.sent_through}")
        return Cursor(expected - 1, min(self.acknowledged_through, expected - 1))
