"""Close the day: the batch's counts and totals, journaled here, matched with the backend's.

The one rule: what is pending, disputed or parked is named, never hidden; a batch that cannot be matched now is closed
all the same, and asked about again until the backend has answered.
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.core.journal import INT_END, Draft, Entry, JournalError, Kind, Position
from agent.core.settlement import Difference, Total, differences
from agent.errors import UplinkRefused, UplinkUnavailable
from agent.ports import Backend, ClosedBatch, Ledger, OpenBatch, QueueException
from agent.services.forwarding import unsent
from agent.services.timekeeping import LaneClock

CONFLICT: Final = "settlement_conflict"
SETTLED_BEFORE: Final = Difference("settled_before")
UNNAMED: Final = Difference("unnamed")
QUEUE_WAIT_S: Final = 8.0
QUEUE_LOOK_S: Final = 0.1
"""The backend can match only what it has: a close waits so long for its own entries to be sent. With
the answer itself it must stay below what the page waits (20 s), or a close that went well would look like none."""


@dataclass(frozen=True, slots=True)
class OpenItem:
    """An entry that the backend did not simply accept: what it is instead, why, who bears it (None: not said), and the
    sale and amount that it is about, 0 for none."""

    epoch: int
    number: int
    state: str
    reason: str
    bearer: str | None
    kind: str
    sale_id: str | None
    minor: int


@dataclass(frozen=True, slots=True)
class Open:
    """What a close carries on: entries up to its end that are not acknowledged, what is held and not captured yet, and
    the exceptions of the lender and of the lane."""

    unsent: int
    held: Total
    items: tuple[OpenItem, ...]


@dataclass(frozen=True, slots=True)
class BatchReport:
    """A closed batch. ``state`` is ``matched``, ``different`` or ``pending`` (the backend could not answer yet);
    ``was_closed``: it had been closed before it was asked for."""

    lender: str
    epoch: int
    batch: int
    first_number: int
    last_number: int
    chain_head: str
    totals: Mapping[str, Mapping[str, int]]
    state: str
    differences: tuple[Difference, ...]
    exceptions: int
    open: Open
    was_closed: bool


class Settlement:
    def __init__(self, ledger: Ledger, backend: Backend, clock: LaneClock) -> None:
        self._ledger, self._backend, self._clock = ledger, backend, clock

    async def close_day(self, lender: str, batch: int | None = None) -> BatchReport | None:
        """Close the batch of this number, the open one if none is given, and match it if the backend can be asked.

        One that is closed already is reported again, and so is the last one while nothing has happened since: whoever
        got no answer may ask again. None: there is no such batch yet.
        """
        open_batch = self._ledger.open_batch(lender)
        wanted = batch or open_batch.batch - _is_empty(open_batch)
        closed = self._ledger.closed_batch(lender, wanted) if wanted < open_batch.batch else None
        if closed is None and (batch or open_batch.batch) != open_batch.batch:
            return None
        ending = closed or self._close(lender)
        await self._sent_through(ending.epoch, ending.last_number)
        return await self._match(ending, was_closed=closed is not None)

    async def match_pending(self) -> list[BatchReport]:
        """Ask again about every closed batch that has no answer yet."""
        if not self._backend.available:
            return []
        return [await self._match(batch, was_closed=True) for batch in self._ledger.unmatched_batches()]

    def _close(self, lender: str) -> ClosedBatch:
        batch, head = self._ledger.open_batch(lender), self._ledger.head
        body = {
            "batch": batch.batch,
            "first_number": batch.first_number,
            "last_number": head.number,
            "totals": {name: dict(total) for name, total in batch.totals.items()},
        }
        self._ledger.record([Draft(Kind.SETTLEMENT, body, lender)], self._clock.read(lender))
        self._backend.poke()
        return ClosedBatch(lender, batch.batch, head.epoch, batch.first_number, head.number, head.hash, batch.totals)

    async def _sent_through(self, epoch: int, number: int) -> None:
        for _ in range(int(QUEUE_WAIT_S / QUEUE_LOOK_S)):
            if self._ledger.cursor(epoch).acknowledged_through >= number or not self._backend.available:
                return
            await asyncio.sleep(QUEUE_LOOK_S)

    async def _match(self, batch: ClosedBatch, *, was_closed: bool) -> BatchReport:
        chain_head = _base64url(batch.chain_head)
        request = {
            "lender": batch.lender,
            "epoch": batch.epoch,
            "batch": batch.batch,
            "first_number": batch.first_number,
            "last_number": batch.last_number,
            "chain_head": chain_head,
            "totals": batch.totals,
        }
        said, found = await self._compared(request)
        if said is not None:
            self._ledger.record_match(batch.lender, batch.batch, said)
        state = said or self._ledger.match_of(batch.lender, batch.batch) or "pending"
        return BatchReport(
            lender=batch.lender,
            epoch=batch.epoch,
            batch=batch.batch,
            first_number=batch.first_number,
            last_number=batch.last_number,
            chain_head=chain_head,
            totals=batch.totals,
            state=state,
            differences=found,
            exceptions=len(self._ledger.queue_exceptions()),
            open=self._open(batch),
            was_closed=was_closed,
        )

    def _open(self, batch: ClosedBatch) -> Open:
        held, end = Total(), Position(batch.epoch, batch.last_number)
        for hold in self._ledger.holds_due(batch.lender, INT_END):
            held = held.plus(hold.held_minor)
        items = tuple(item for found in self._ledger.queue_exceptions() for item in self._item(found, batch.lender))
        return Open(sum(_up_to(end, *waiting) for waiting in unsent(self._ledger)), held, items)

    def _item(self, found: QueueException, lender: str) -> Iterator[OpenItem]:
        """None for an entry of another lender; one that cannot be read is shown all the same."""
        (epoch, number), why = found.position, (found.state, found.reason, found.bearer)
        entry = self._entry(found.position)
        if entry is None:
            yield OpenItem(epoch, number, *why, "", None, 0)
        elif entry.lender in (None, lender):
            yield OpenItem(epoch, number, *why, entry.kind, entry.sale_id, entry.body.get("amount_minor", 0))

    def _entry(self, at: Position) -> Entry | None:
        """None: this ledger has no entry there, or one that cannot be read."""
        try:
            entry = next((sealed.entry for sealed in self._ledger.entries_after(at.epoch, at.number - 1, 1)), None)
        except JournalError:
            return None
        return entry if entry is not None and entry.number == at.number else None

    async def _compared(self, request: Mapping[str, Any]) -> tuple[str | None, tuple[Difference, ...]]:
        """What the backend made of it, for good, and where the halves differ; None: it could not say yet."""
        try:
            answer = await self._backend.settle(request)
        except UplinkUnavailable:
            return None, ()
        except UplinkRefused as refused:
            # A ledger that was put back has forgotten how it closed this batch; asking again would change nothing.
            return ("different", (SETTLED_BEFORE,)) if refused.problem == CONFLICT else (None, ())
        found = (*_differences(request, answer), *self._set_aside(request, answer))
        if not found and not answer["matched"]:
            found = (UNNAMED,)
        return "different" if found else "matched", found

    def _set_aside(self, request: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[Difference]:
        """The batch's entries that the backend did not let take effect as the lane meant them."""
        for row in answer["differences"]:
            number = row.get("number")
            if row.get("what") != "entry" or type(number) is not int:
                continue
            if not request["first_number"] <= number <= request["last_number"]:
                continue
            entry = self._entry(Position(request["epoch"], number))
            yield Difference(
                "entry",
                number=number,
                lane=str(row.get("lane", "accepted")),
                backend=str(row.get("backend", "")),
                reason=str(row.get("reason", "")),
                sale_id=entry.sale_id if entry else None,
                minor=entry.body.get("amount_minor", 0) if entry else 0,
            )


def _up_to(end: Position, first: Position, count: int) -> int:
    """How many of so many entries from ``first`` on, all of one epoch, lie up to the end of a batch."""
    if first.epoch == end.epoch:
        return min(max(end.number - first.number + 1, 0), count)
    return count if first.epoch < end.epoch else 0


def _is_empty(batch: OpenBatch) -> bool:
    return not any(total["count"] for total in batch.totals.values())


def _differences(request: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[Difference]:
    yield from differences(request["totals"], answer["totals"])
    if answer["chain_head"] != request["chain_head"]:
        halves = {"lane": request["chain_head"], "backend": answer["chain_head"]}
        yield Difference("chain_head", number=request["last_number"], **halves)


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
