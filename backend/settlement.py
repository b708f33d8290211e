"""Settlement: a lane's batch against the entries that were received from it.

The one rule: both halves are totals of the same journal entries (``agent.core.settlement``); a batch is matched once,
and the answer never changes.
"""

from __future__ import annotations

import hashlib
from typing import Any

from agent.core.journal import open_entry
from agent.core.money import MINOR_MAX
from agent.core.settlement import Totals, differences
from backend import ingest, lanes
from backend.problems import Problem
from backend.schema import JournalEntry, Settlement
from backend.wire import SettlementRequest, b64url, from_b64url, write


def settle(request: SettlementRequest, lane: str) -> bytes:
    """The answer's bytes: matched, or every difference in a sentence. To be called inside a transaction.

    Raises Problem: lane_unknown, epoch_unknown, journal_behind, settlement_conflict.
    """
    said = hashlib.sha256(request.model_dump_json().encode()).digest()
    stored = Settlement.get_or_none(
        Settlement.lane == lane,
        Settlement.lender == request.lender,
        Settlement.epoch == request.epoch,
        Settlement.batch == request.batch,
    )
    if stored is not None:
        if bytes(stored.request_hash) != said:
            raise Problem("settlement_conflict", f"batch {request.batch}")
        return bytes(stored.answer)
    _check_received(request, lane)
    answer = write(_compare(request, lane))
    Settlement.create(
        lane=lane, lender=request.lender, epoch=request.epoch, batch=request.batch, request_hash=said, answer=answer
    )
    return answer


def _check_received(request: SettlementRequest, lane: str) -> None:
    row = lanes.journal(lane, request.epoch)
    if request.last_number > row.number:
        raise Problem("journal_behind", f"received through {row.number}", acknowledged_through=row.number)


def _compare(request: SettlementRequest, lane: str) -> dict[str, Any]:
    totals = _totals(request, lane).to_wire()
    head = _hash_of(lane, request.epoch, request.last_number)
    found = differences(totals, request.totals_to_wire())
    if head != from_b64url(request.chain_head):
        found.append(f"chain_head: entry {request.last_number} has another hash here")
    return {"matched": not found, "differences": found, "totals": totals, "chain_head": b64url(head)}


def _totals(request: SettlementRequest, lane: str) -> Totals:
    totals = Totals()
    for data in ingest.entries_between(lane, request.epoch, request.first_number, request.last_number):
        entry = open_entry(data).entry
        if entry.lender == request.lender and _has_amount(entry.body.get("amount_minor"), entry.body.get("approved")):
            totals.add(entry.kind, entry.body)
    return totals


def _has_amount(amount: object, approved: object) -> bool:
    """Entries without an amount move no money; one whose amount is nonsense was parked when it came."""
    return type(amount) is int and 0 < amount <= MINOR_MAX and (approved is None or type(approved) is bool)


def _hash_of(lane: str, epoch: int, number: int) -> bytes:
    row = JournalEntry.get(JournalEntry.lane == lane, JournalEntry.epoch == epoch, JournalEntry.number == number)
    return hashlib.sha256(bytes(row.data)).digest()
