"""Store and forward, the receiving half: journal uploads of lanes.

The one rule: an entry is stored as the exact bytes that the lane signed for, in the order of its chain, together with
its effect, in one transaction; what is acknowledged is durable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.core import cbor, cose, journal
from agent.core.cose import CoseError, PublicKey
from agent.core.journal import Head, JournalError, Sealed
from backend import lanes, postings
from backend.database import inserting, put, rows
from backend.lenders import Lender
from backend.postings import Books, Result
from backend.problems import Problem
from backend.schema import Dispute, Journal, JournalEntry
from backend.wire import b64url

_STORE = inserting(JournalEntry)


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


def ingest(upload: Upload, *, lenders: Mapping[str, Lender], now_s: int) -> dict[str, Any]:
    """Store an upload and post its entries; the answer as the wire writes it. To be called inside a transaction.

    Raises Problem: lane_unknown, epoch_unknown, journal_gap, journal_fork, journal_malformed, upload_signature.
    """
    lane = lanes.journal(upload.lane, upload.epoch)
    if upload.first > lane.number + 1:
        raise Problem("journal_gap", f"expected number {lane.number + 1}, not {upload.first}", expected=lane.number + 1)
    known = _known(upload, lane)
    fresh = _follow(lane, upload.entries[len(known) :])
    _check_signature(upload, lane)
    books = Books(lenders, now_s)
    results = [*known, *(_store(sealed, books) for sealed in fresh)]
    if fresh:
        _advance(lane, fresh[-1])
    return {"acknowledged_through": lane.number, "posted_through": lane.posted_number, "results": results}


def entries_between(lane: str, epoch: int, first: int, last: int) -> Iterator[bytes]:
    """The stored bytes of the entries from ``first`` to ``last``, in order."""
    query = (
        JournalEntry.select(JournalEntry.data)
        .where(JournalEntry.lane == lane, JournalEntry.epoch == epoch, JournalEntry.number.between(first, last))
        .order_by(JournalEntry.number)
    )
    return (bytes(data) for (data,) in query.tuples().iterator())


def _known(upload: Upload, lane: Journal) -> list[dict[str, Any]]:
    """Answers for the entries that are stored already. The lane may have missed the first answer, so a dispute is
    told again. Other bytes under a known number are a fork."""
    query = (
        JournalEntry.select(JournalEntry.number, JournalEntry.data, JournalEntry.result, JournalEntry.reason)
        .where(
            JournalEntry.lane == upload.lane,
            JournalEntry.epoch == upload.epoch,
            JournalEntry.number.between(upload.first, upload.last),
        )
        .order_by(JournalEntry.number)
    )
    answers = []
    for (number, data, result, reason), sent in zip(rows(query), upload.entries, strict=False):
        if bytes(data) != sent:
            raise _fork(lane, f"entry {number} is stored with other content")
        answers.append(_answer(number, Result("duplicate" if result == "accepted" else result, reason)))
    return answers


def _follow(lane: Journal, entries: Sequence[bytes]) -> list[Sealed]:
    try:
        return list(journal.follow(lanes.head_of(lane), entries))
    except JournalError as error:
        if error.reason == "fork":
            raise _fork(lane, str(error)) from None
        raise Problem("journal_malformed", str(error), reason=error.reason) from None


def _fork(lane: Journal, detail: str) -> Problem:
    return Problem("journal_fork", detail, expected=lane.number + 1, head=b64url(bytes(lane.hash)))


def _check_signature(upload: Upload, lane: Journal) -> None:
    end = Head(upload.lane, upload.epoch, upload.last, journal.digest(upload.entries[-1]))
    try:
        key = PublicKey.from_cose_key(cbor.decode(bytes(lane.journal_key)))
        signed = cose.verify1(upload.signature, key, typ=journal.UPLOAD_TYP)
    except CoseError as error:
        raise Problem("upload_signature", str(error)) from None
    if signed.payload != journal.upload_statement(end, upload.first, len(upload.entries)):
        raise Problem("upload_signature", "The signature is for other entries.")


def _store(sealed: Sealed, books: Books) -> dict[str, Any]:
    entry = sealed.entry
    result = postings.post(entry, books)
    stored = {"lane": entry.lane, "epoch": entry.epoch, "number": entry.number, "kind": entry.kind}
    stored |= {"lender": entry.lender, "result": result.result, "reason": result.reason, "data": sealed.data}
    put(JournalEntry, _STORE, stored)
    if result.reason:
        _dispute(sealed, result, result.reason)
    return _answer(entry.number, result)


def _dispute(sealed: Sealed, result: Result, reason: str) -> None:
    entry = sealed.entry
    Dispute.create(
        lane=entry.lane,
        epoch=entry.epoch,
        number=entry.number,
        sequence=Dispute.select().where(Dispute.lane == entry.lane).count() + 1,
        result=result.result,
        reason=reason,
        bearer=result.bearer,
        lender=entry.lender,
        sale_id=entry.sale_id,
        account=result.account,
        amount_minor=result.minor,
    )


def _advance(lane: Journal, last: Sealed) -> None:
    """The head moves, and with it the horizon by which leases lapse (lease rule 1): only by the lane's own word."""
    number, horizon_s = last.entry.number, last.entry.lease_horizon
    Journal.update(
        number=number, hash=last.hash, horizon=horizon_s, posted_number=number, lease_horizon=horizon_s
    ).where(Journal.lane == lane.lane, Journal.epoch == lane.epoch).execute()
    lane.number = lane.posted_number = number


def _answer(number: int, result: Result) -> dict[str, Any]:
    reason = {"reason": result.reason} if result.reason else {}
    return {"number": number, "result": result.result} | reason
