"""Forwarding: what the lane tells the uplink, and what it makes of the backend's answers.

The one rule: entries leave in order, as the bytes that were stored, and only a cumulative acknowledgement moves on.
Each epoch is a queue of its own: what the backend refuses of an older one never holds up today's sales.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from agent.core import cose
from agent.core.forwarding import EntryState, ForwardingRefused, state_after
from agent.core.journal import UPLOAD_TYP, Head, Position, digest, upload_statement
from agent.ports import EXCEPTIONS_CURSOR, Ledger, QueueException
from agent.services.lenders import Lenders
from agent.services.timekeeping import LaneClock

LOG: Final = logging.getLogger(__name__)
FORKED: Final = "forked"
"""State of the exception that keeps a fork, at number 0, where no entry's own exception can take its place. The reason:
the first number that the backend has otherwise, 0 if it did not say, and the hash of its head in hexadecimal."""


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """Entries to upload: the stored bytes and the journal key's signature over where they end."""

    epoch: int
    first: int
    entries: tuple[bytes, ...]
    signature: bytes


@dataclass(frozen=True, slots=True)
class Fork:
    """The backend has other entries than this lane: nothing is sent until an operator begins a new epoch."""

    epoch: int
    expected: int | None
    head: str = ""


class Forwarding:
    """The queues to the backend, and signed time: what the uplink asks of the lane.

    ``changed`` is called when a queue moved; ``confirmed`` when the backend has shown that it has no other entries than
    this lane (lease rule 11).
    """

    def __init__(
        self,
        ledger: Ledger,
        journal_key: cose.Signer,
        lenders: Lenders,
        clock: LaneClock,
        *,
        changed: Callable[[], None],
        doubt: str | None = None,
        confirmed: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger, self._journal_key, self._lenders, self._clock = ledger, journal_key, lenders, clock
        self._changed, self._confirmed = changed, confirmed
        self._forks = self._known_forks()
        self.doubt = doubt

    @property
    def fork(self) -> Fork | None:
        """The fork of today's epoch. Older epochs are quarantined at the backend and stop nobody."""
        return self._forks.get(self._ledger.head.epoch)

    @property
    def depth(self) -> int:
        """Entries that the backend has not acknowledged, of all epochs."""
        return sum(count for _, count in unsent(self._ledger))

    @property
    def acknowledged_by_epoch(self) -> dict[int, int]:
        """Through which number the backend has acknowledged each epoch."""
        return {end.epoch: self._ledger.cursor(end.epoch).acknowledged_through for end in self._ledger.ends()}

    @property
    def exceptions(self) -> int:
        """Entries that the backend did not accept; a fork is no entry and has a condition of its own."""
        return sum(item.state != FORKED for item in self._ledger.queue_exceptions())

    def next_upload(self, entries_max: int, bytes_max: int, *, older: bool = False) -> SignedUpload | None:
        """The first entries that are not acknowledged, of today's epoch or of an older one; marked as sent before."""
        ends = self._ledger.ends()
        for end in ends[:-1] if older else ends[-1:]:
            after = self._ledger.cursor(end.epoch).acknowledged_through
            if self.doubt is not None and not older:
                after = min(
                    after, end.number - 1
                )  # the last one again: its answer confirms the head, or shows the fork
            if after < end.number and end.epoch not in self._forks:
                return self._signed(end, after, entries_max, bytes_max)
        return None

    def _signed(self, end: Position, after: int, entries_max: int, bytes_max: int) -> SignedUpload:
        chosen = _within(self._ledger.entry_bytes_after(end.epoch, after, entries_max), bytes_max)
        first, last = after + 1, after + len(chosen)
        cursor = self._ledger.cursor(end.epoch)
        if last > cursor.sent_through:
            self._ledger.move_cursor(end.epoch, cursor.sent(last))
        # Only where the entries end is signed: to read all 500 of them would hold up a sale for 30 ms.
        reached = Head(self._ledger.head.lane, end.epoch, last, digest(chosen[-1]))
        statement = upload_statement(reached, first, len(chosen))
        signature = cose.sign1(statement, self._journal_key, typ=UPLOAD_TYP)
        return SignedUpload(end.epoch, first, tuple(chosen), signature)

    def acknowledged(self, epoch: int, through: int, results: Iterable[tuple[int, str, str | None]]) -> None:
        """The backend has these durably. What it could not simply accept becomes a visible exception.

        A backend that has more than this lane ever recorded shows that the ledger is an old one (lease rule 11). Of an
        epoch that was left behind that is no news: people have decided about it.
        """
        end = next((end for end in self._ledger.ends() if end.epoch == epoch), None)
        if end is None or (through > end.number and epoch == self._ledger.head.epoch):
            self.forked(epoch, end.number + 1 if end else None)
            return
        cursor = self._ledger.cursor(epoch)
        exceptions = [found for found in self._exceptions(epoch, results) if found.position.number <= through]
        self._ledger.move_cursor(epoch, cursor.acknowledged(min(through, cursor.sent_through)), exceptions)
        if epoch == self._ledger.head.epoch and self.doubt is not None:
            self.doubt = None
            self._confirmed()
        self._changed()

    def _exceptions(self, epoch: int, results: Iterable[tuple[int, str, str | None]]) -> Iterable[QueueException]:
        for number, result, reason in results:
            state = state_after(result)
            if state != EntryState.ACKNOWLEDGED:
                yield QueueException(Position(epoch, number), state, reason or result)

    def found_later(self, found: Sequence[QueueException], cursor: str) -> None:
        """What the backend's own list says of entries that it took before."""
        self._ledger.record_exceptions(found, cursor)
        self._changed()

    @property
    def exceptions_cursor(self) -> str | None:
        """Where the backend's list of exceptions goes on; None: from its beginning."""
        return self._ledger.note(EXCEPTIONS_CURSOR)

    def rewind(self, epoch: int, expected: int) -> bool:
        """The backend expects an earlier (or the next) number. False: it expects what this lane never sent."""
        try:
            self._ledger.move_cursor(epoch, self._ledger.cursor(epoch).rewound(expected))
        except ForwardingRefused:
            return False
        return True

    def _known_forks(self) -> dict[int, Fork]:
        """A fork outlives the process: a lane that was restored from a backup must not stand in after a restart."""
        today = self._ledger.head.epoch
        known = (item for item in self._ledger.queue_exceptions() if item.state == FORKED)
        return {item.position.epoch: _fork(item) for item in known if item.position.epoch == today}

    def forked(self, epoch: int, expected: int | None, head: bytes | None = None) -> None:
        found = QueueException(Position(epoch, 0), FORKED, f"{expected or 0}:{head.hex() if head else ''}")
        self._ledger.move_cursor(epoch, self._ledger.cursor(epoch), [found])
        self._forks[epoch] = _fork(found)
        LOG.error("the backend has other entries than this lane", extra={"epoch": epoch, "number": expected})
        self._changed()

    def begun_again(self) -> None:
        """A new epoch has begun: the older ones go to the backend now, which sets aside what it has otherwise."""
        self._forks.clear()
        self.doubt = None
        self._confirmed()
        self._changed()

    def ask_time(self, lender: str) -> bytes:
        return self._clock.ask(lender)

    def signed_time(self, lender_id: str, nonce: bytes, data: bytes) -> bool:
        lender = self._lenders.get(lender_id)
        accepted = lender is not None and self._clock.accept(lender_id, nonce, data, lender.keys)
        if accepted:
            self._lenders.reload(lender_id)
        return accepted


def unsent(ledger: Ledger) -> Iterable[tuple[Position, int]]:
    """Of each epoch of which the backend has not acknowledged all: the first such entry, and how many there are."""
    for end in ledger.ends():
        after = ledger.cursor(end.epoch).acknowledged_through
        if after < end.number:
            yield Position(end.epoch, after + 1), end.number - after


def _fork(kept: QueueException) -> Fork:
    expected, _, head = kept.reason.partition(":")
    return Fork(kept.position.epoch, int(expected) or None, head)


def _within(found: Sequence[bytes], bytes_max: int) -> Sequence[bytes]:
    """As many as fit, at least one."""
    sizes = accumulate(len(data) for data in found)
    return found[: max(1, sum(size <= bytes_max for size in sizes))]
