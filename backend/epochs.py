"""New epochs: a lane whose ledger was restored leaves its journal behind and begins another.

The one rule (lease rule 11): the old journal is frozen at what is stored here. What the lane wrote beside it is kept in
quarantine; leases of the old epoch stay counted until the lender writes them off, because another copy of that ledger
may still spend them.
"""

from __future__ import annotations

import hashlib

from agent.core import cbor
from agent.core.cose import PublicKey
from agent.core.journal import GENESIS_HASH, INT_END, Entry, digest
from backend import enrollment, lanes
from backend.database import rows
from backend.problems import Problem
from backend.schema import EpochChange, JournalEntry
from backend.wire import NewEpoch, write


def follows(entry: Entry) -> bool:
    """Whether the first entry of an epoch names the journal before as it is stored here. What is not stored (any more)
    cannot be held against it."""
    previous = entry.body.get("previous")
    match previous:
        case None:
            return entry.epoch == 1
        case {"epoch": int(epoch), "number": int(number), "hash": bytes(said)} if max(epoch, number) < INT_END:
            mine = (JournalEntry.lane == entry.lane) & (JournalEntry.epoch == epoch) & (JournalEntry.number == number)
            stored = rows(JournalEntry.select(JournalEntry.data).where(mine))
            known = digest(bytes(stored[0][0])) if stored else GENESIS_HASH if number == 0 else said
            return epoch < entry.epoch and known == said
    return False


def start(request: NewEpoch, raw: bytes, lane: str) -> bytes:
    """The answer's bytes; the same bytes for the same request. To be called inside a transaction.

    Raises Problem: lane_unknown, epoch_unknown, idempotency_conflict.
    """
    asked = hashlib.sha256(raw).digest()
    mine = (EpochChange.lane == lane) & (EpochChange.epoch == request.epoch)
    for request_hash, answer in rows(EpochChange.select(EpochChange.request_hash, EpochChange.answer).where(mine)):
        if bytes(request_hash) != asked:
            raise Problem("idempotency_conflict", f"epoch {request.epoch} was left with another request")
        return bytes(answer)
    lanes.of_epoch(lane, request.epoch)
    left = lanes.journal(lane, request.epoch)
    lanes.set_state(lane, request.epoch, lanes.QUARANTINED)
    key = PublicKey.from_cose_key(cbor.decode(bytes(left.journal_key)))
    lanes.open_journal(lane, request.epoch + 1, key)
    answer = write({"epoch": request.epoch + 1, "previous": enrollment.previous_to_wire(lane, request.epoch)})
    EpochChange.create(lane=lane, epoch=request.epoch, request_hash=asked, answer=answer)
    return answer
