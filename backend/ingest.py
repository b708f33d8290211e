"""Store and forward, the receiving half: journal uploads of lanes.

The one rule: an entry is stored as the exact bytes that the lane signed for, in the order of its chain; what is
acknowledged is durable. What it does to accounts comes after that (``backend.poster``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent.core import cose, journal
from agent.core.cose import CoseError
from agent.core.journal import Head, JournalError
from backend import chain, lanes
from backend.chain import Link
from backend.database import change, compiled, fetch, inserting, put_many
from backend.problems import Problem
from backend.schema import Dispute, Journal, JournalEntry
from backend.wire import b64url

_STORE: Final = inserting(JournalEntry)
_ADVANCE: Final = compiled(
    Journal.update(number=0, hash=b"").where(Journal.lane == "", Journal.epoch == 0, Journal.number == 0)
)
_RESULTS: Final = compiled(
    JournalEntry.select(JournalEntry.number, JournalEntry.result, JournalEntry.reason, Dispute.bearer)
    .left_outer_join(
        Dispute,
        on=(Dispute.lane == JournalEntry.lane)
        & (Dispute.epoch == JournalEntry.epoch)
        & (Dispute.number == JournalEntry.number),
    )
    .where(JournalEntry.lane == "", JournalEntry.epoch == 0, JournalEntry.number.between(0, 0))
    .order_by(JournalEntry.number)
)


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload as it came: ``entries`` are canonical bytes, ``first`` is the number of the first of them."""

    lane: str
    epoch: int
    first: int
    entries: Sequence[bytes]
    signature: bytes

    @property
    def last(self) -> int:
        return self.first + len(self.entries) - 1


@dataclass(frozen=True, slots=True)
class Stored:
    """Entries of an upload that are durable now; the first ``known`` of them were so before."""

    upload: Upload
    known: int


def store(upload: Upload) -> Stored:
    """Check the chain and the signature, and store what is new. To be called inside a transaction.

    Raises Problem: lane_unknown, epoch_unknown, journal_gap, journal_fork, journal_malformed, upload_signature.
    """
    row = lanes.journal(upload.lane, upload.epoch)
    if upload.first > row.number + 1:
        raise Problem("journal_gap", f"expected number {row.number + 1}, not {upload.first}", expected=row.number + 1)
    known = _count_known(upload, row)
    fresh = _follow(row, upload.entries[known:])
    check_signature(upload, row)
    if fresh:
        put_many(JournalEntry, _STORE, [_row(upload, link) for link in fresh])
        _advance(row, fresh[-1])
    return Stored(upload, known)


def answer(stored: Stored) -> dict[str, Any]:
    """What became of the entries of an upload as far as it is known now, as the wire writes it."""
    upload = stored.upload
    row = lanes.journal(upload.lane, upload.epoch)
    fresh_from = upload.first + stored.known
    posted = fetch(_RESULTS, upload.lane, upload.epoch, upload.first, min(upload.last, row.posted_number))
    results = [
        _result(number, result, reason, bearer, is_known=number < fresh_from)
        for number, result, reason, bearer in posted
    ]
    waiting = range(upload.first + len(posted), upload.last + 1)
    results += [{"number": number, "result": "duplicate" if number < fresh_from else "accepted"} for number in waiting]
    return {"acknowledged_through": row.number, "posted_through": row.posted_number, "results": results}


def entries_between(lane: str, epoch: int, first: int, last: int) -> Iterator[bytes]:
    """The stored bytes of the entries from ``first`` to ``last``, in order."""
    query = (
        JournalEntry.select(JournalEntry.data)
        .where(JournalEntry.lane == lane, JournalEntry.epoch == epoch, JournalEntry.number.between(first, last))
        .order_by(JournalEntry.number)
    )
    return (bytes(data) for (data,) in query.tuples().iterator())


def check_signature(upload: Upload, row: Journal) -> None:
    """Raises Problem("upload_signature") unless the journal's own key signed exactly these entries."""
    end = Head(upload.lane, upload.epoch, upload.last, journal.digest(upload.entries[-1]))
    try:
        signed = cose.verify1(upload.signature, lanes.journal_key(row), typ=journal.UPLOAD_TYP)
    except CoseError as error:
        raise Problem("upload_signature", str(error)) from None
    if signed.payload != journal.upload_statement(end, upload.first, len(upload.entries)):
        raise Problem("upload_signature", "The signature is for other entries.")


def _count_known(upload: Upload, row: Journal) -> int:
    """How many of the entries are stored already. Other bytes under a known number are a fork."""
    known = min(len(upload.entries), row.number - upload.first + 1)
    if known:
        stored = entries_between(upload.lane, upload.epoch, upload.first, upload.first + known - 1)
        for number, (data, sent) in enumerate(zip(stored, upload.entries, strict=False), upload.first):
            if data != sent:
                raise _fork(row, f"entry {number} is stored with other content")
    return known


def _follow(row: Journal, entries: Sequence[bytes]) -> list[Link]:
    try:
        return list(chain.follow(lanes.head_of(row), entries))
    except JournalError as error:
        if error.reason == "fork":
            raise _fork(row, str(error)) from None
        raise Problem("journal_malformed", str(error), reason=error.reason) from None


def _fork(row: Journal, detail: str) -> Problem:
    return Problem("journal_fork", detail, expected=row.number + 1, head=b64url(bytes(row.hash)))


def _row(upload: Upload, link: Link) -> tuple[Any, ...]:
    """In the order of the table's columns: result and reason come with posting."""
    return (upload.lane, upload.epoch, link.number, None, None, link.data)


def _advance(row: Journal, last: Link) -> None:
    moved = change(_ADVANCE, last.number, last.hash, row.lane, row.epoch, row.number)
    assert moved == 1, "the journal's row was read in this transaction, so nobody else has moved it since"


def _result(number: int, result: str, reason: str | None, bearer: str | None, *, is_known: bool) -> Any:
    told = "duplicate" if is_known and result == "accepted" else result
    more = {"reason": reason, "bearer": bearer}
    return {"number": number, "result": told} | {name: value for name, value in more.items() if value}
