"""Forwarding: what the lane tells the uplink, and what it makes of the backend's answers.

The one rule: entries leave in order, as the bytes that were stored, and only a cumulative acknowledgement moves on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from agent.core import cose
from agent.core.forwarding import RESULT_EVENTS, EntryState, ForwardingRefused, next_state
from agent.core.journal import UPLOAD_TYP, Position, advance, open_entry, upload_statement
from agent.ports import Ledger, QueueException
from agent.services.lenders import Lenders
from agent.services.timekeeping import LaneClock

LOG: Final = logging.getLogger(__name__)
FORKED: Final = "forked"
"""State of the exception that keeps a fork: the first number that the backend has otherwise, 0 if it did not say."""


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """Entries to upload: the stored bytes and the journal key's signature over where they end."""

    epoch: int
    first: int
    entries: tuple[bytes, ...]
    signature: bytes


@dataclass(slots=True)
class Fork:
    """The backend has other entries than this lane: nothing is sent until an operator confirms the recovery."""

    epoch: int
    expected: int | None


class Forwarding:
    """The queue to the backend, and signed time: what the uplink asks of the lane."""

    def __init__(
        self, ledger: Ledger, journal_key: cose.Signer, lenders: Lenders, clock: LaneClock, changed: Callable[[], None]
    ) -> None:
        self._ledger, self._journal_key, self._lenders, self._clock = ledger, journal_key, lenders, clock
        self._changed = changed
        self.fork = self._known_fork()
        self.last_acknowledged_at: int | None = None

    @property
    def depth(self) -> int:
        """Entries that the backend has not acknowledged."""
        head = self._ledger.head
        return head.number - self._ledger.cursor(head.epoch).acknowledged_through

    @property
    def exceptions(self) -> int:
        """Entries that the backend disputed or parked; a fork is no entry and has a condition of its own."""
        return sum(item.state != FORKED for item in self._ledger.queue_exceptions())

    def next_upload(self, entries_max: int, bytes_max: int) -> SignedUpload | None:
        """The first entries that are not acknowledged, marked as sent before they leave."""
        head = self._ledger.head
        if self.fork is not None or head.epoch == 0:
            return None
        cursor = self._ledger.cursor(head.epoch)
        found = self._ledger.entry_bytes_after(head.epoch, cursor.acknowledged_through, entries_max)
        chosen = _within(found, bytes_max)
        if not chosen:
            return None
        end = open_entry(chosen[-1])  # the one that is signed; to read all 500 would hold up a sale for 30 ms
        if end.entry.number > cursor.sent_through:
            self._ledger.move_cursor(head.epoch, cursor.sent(end.entry.number))
        first = end.entry.number - len(chosen) + 1
        statement = upload_statement(advance(head, end), first, len(chosen))
        signature = cose.sign1(statement, self._journal_key, typ=UPLOAD_TYP)
        return SignedUpload(head.epoch, first, tuple(chosen), signature)

    def acknowledged(self, epoch: int, through: int, results: Iterable[tuple[int, str, str | None]]) -> None:
        """The backend has these durably. What it could not simply accept becomes a visible exception."""
        cursor = self._ledger.cursor(epoch)
        exceptions = []
        for number, result, reason in results:
            state = next_state(EntryState.SENT, RESULT_EVENTS[result])
            if state is not EntryState.ACKNOWLEDGED and number <= through:
                exceptions.append(QueueException(Position(epoch, number), state, reason or result))
        try:
            self._ledger.move_cursor(epoch, cursor.acknowledged(through), exceptions)
        except ForwardingRefused as error:
            LOG.error("the backend acknowledges what was never sent", extra={"reason": str(error)})
            return
        self._changed()

    def rewind(self, epoch: int, expected: int) -> bool:
        """The backend expects an earlier (or the next) number. False: it expects what this lane never sent."""
        try:
            self._ledger.move_cursor(epoch, self._ledger.cursor(epoch).rewound(expected))
        except ForwardingRefused:
            return False
        return True

    def _known_fork(self) -> Fork | None:
        """A fork outlives the process: a lane that was restored from a backup must not stand in after a restart."""
        epoch = self._ledger.head.epoch
        forks = (item for item in self._ledger.queue_exceptions() if item.state == FORKED)
        return next((Fork(epoch, item.position.number or None) for item in forks if item.position.epoch == epoch), None)

    def forked(self, epoch: int, expected: int | None) -> None:
        found = QueueException(Position(epoch, expected or 0), FORKED, "journal_fork")
        self._ledger.move_cursor(epoch, self._ledger.cursor(epoch), [found])
        self.fork = Fork(epoch, expected)
        LOG.error("the backend has other entries than this lane", extra={"epoch": epoch, "number": expected})
        self._changed()

    def ask_time(self, lender: str) -> bytes:
        return self._clock.ask(lender)

    def signed_time(self, lender_id: str, nonce: bytes, data: bytes) -> bool:
        lender = self._lenders.get(lender_id)
        accepted = lender is not None and self._clock.accept(lender_id, nonce, data, lender.keys)
        if accepted:
            self._lenders.reload(lender_id)
        return accepted


def _within(found: Sequence[bytes], bytes_max: int) -> Sequence[bytes]:
    """As many as fit, at least one."""
    sizes = accumulate(len(data) for data in found)
    return found[: max(1, sum(size <= bytes_max for size in sizes))]
