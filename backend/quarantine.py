"""Quarantine: what a compromised device, or a ledger that forked, still sends.

The one rule (lease rules 11 and 12): it is stored as it came, acknowledged so that the lane's queue empties, and shown
to people; it moves no money.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

from peewee import fn

from agent.core import journal
from agent.core.journal import Entry, Head, JournalError, Sealed
from agent.core.money import MINOR_MAX
from backend import disputes, ingest, lanes
from backend.database import rows
from backend.ingest import Upload
from backend.postings import Result
from backend.problems import Problem
from backend.schema import Dispute, EpochChange, Journal, JournalEntry, QuarantinedEntry

RESULT: Final = "quarantined"
FORKED: Final = "journal_forked"
COMPROMISED: Final = "device_compromised"


def take(upload: Upload, row: Journal, *, now_s: int) -> dict[str, Any]:
    """Keep an upload of a quarantined journal; the answer as the wire writes it. To be called inside a transaction.

    Raises Problem: journal_gap, journal_malformed, upload_signature.
    """
    ingest.check_signature(upload, row)
    expected = last_number(row) + 1
    if upload.first > expected:
        raise Problem("journal_gap", f"expected number {expected}, not {upload.first}", expected=expected)
    stored = _stored(upload)
    results = [_keep(sealed, stored, why(row), now_s) for sealed in _opened(upload)]
    through = max(upload.last, expected - 1)
    return {"acknowledged_through": through, "posted_through": min(row.posted_number, through), "results": results}


def why(row: Journal) -> str:
    """Why a journal is quarantined: its own device has begun another one, or nobody trusts the device any more.

    Of a device that is trusted every quarantined journal is one that it left itself (``epochs``), whoever has taken the
    lane over since.
    """
    left = EpochChange.select(EpochChange.epoch).where(EpochChange.lane == row.lane)
    same_device = (Journal.lane == row.lane) & (Journal.journal_key == bytes(row.journal_key))
    not_left = Journal.select().where(same_device, Journal.state.in_(lanes.DISBELIEVED), Journal.epoch.not_in(left))
    return COMPROMISED if not_left.exists() else FORKED


def keep(row: Journal, entries: Sequence[bytes], *, now_s: int) -> None:
    """Set aside what was stored as this journal's, from its first entry on. To be called inside a transaction."""
    reason = why(row)
    for number, data in enumerate(entries, 1):
        _store(Head(row.lane, row.epoch, number, journal.digest(data)), data, now_s)
        with contextlib.suppress(JournalError):  # its place in the chain is sure, what it says may be unreadable
            _show(journal.open_entry(data).entry, reason)


def last_number(row: Journal) -> int:
    """How far the lane has told its journal, with what was set aside of it."""
    mine = (QuarantinedEntry.lane == row.lane) & (QuarantinedEntry.epoch == row.epoch)
    return max(row.number, QuarantinedEntry.select(fn.MAX(QuarantinedEntry.number)).where(mine).scalar() or 0)


def ends(lane: str) -> list[tuple[Journal, int]]:
    """The lane's journals, and through which number each is stored here, with what was set aside of it."""
    found = Journal.select().where(Journal.lane == lane).order_by(Journal.epoch)
    return [(row, last_number(row) if row.state in lanes.DISBELIEVED else row.number) for row in found]


def _stored(upload: Upload) -> dict[int, bytes]:
    query = JournalEntry.select(JournalEntry.number, JournalEntry.data).where(
        JournalEntry.lane == upload.lane,
        JournalEntry.epoch == upload.epoch,
        JournalEntry.number.between(upload.first, upload.last),
    )
    return {number: bytes(data) for number, data in rows(query)}


def _opened(upload: Upload) -> Sequence[Sealed]:
    try:
        opened = [journal.open_entry(data) for data in upload.entries]
    except JournalError as error:
        raise Problem("journal_malformed", str(error), reason=error.reason) from None
    for number, sealed in enumerate(opened, upload.first):
        entry = sealed.entry
        if (entry.lane, entry.epoch, entry.number) != (upload.lane, upload.epoch, number):
            raise Problem("journal_malformed", f"entry {number} belongs elsewhere", reason="other_lane")
    return opened


def _keep(sealed: Sealed, stored: dict[int, bytes], reason: str, now_s: int) -> dict[str, Any]:
    entry = sealed.entry
    if stored.get(entry.number) == sealed.data:
        return {"number": entry.number, "result": "duplicate"}
    _store(Head(entry.lane, entry.epoch, entry.number, sealed.hash), sealed.data, now_s)
    _show(entry, reason)
    return {"number": entry.number, "result": RESULT, "reason": reason, "bearer": "operator"}


def _store(at: Head, data: bytes, now_s: int) -> None:
    kept = {"lane": at.lane, "epoch": at.epoch, "number": at.number, "hash": at.hash}
    QuarantinedEntry.insert(kept | {"data": data, "received_at": now_s}).on_conflict_ignore().execute()


def _show(entry: Entry, reason: str) -> None:
    """Entries of a sale become exceptions; those of the lane as a whole are only kept."""
    mine = (Dispute.lane == entry.lane) & (Dispute.epoch == entry.epoch) & (Dispute.number == entry.number)
    if entry.sale_id is None or Dispute.select().where(mine).exists():
        return
    amount, account = entry.body.get("amount_minor"), entry.body.get("account")
    found = Result(
        RESULT,
        reason,
        account=account if isinstance(account, bytes) and len(account) == 16 else None,
        minor=amount if type(amount) is int and 0 < amount <= MINOR_MAX else 0,
    )
    disputes.record(entry.lane, entry.epoch, entry.number, entry, found)
