"""Settlement: a lane's batch against the entries that were received from it, and what the merchant is paid for it.

The one rule: both halves are totals of the same journal entries (``agent.core.settlement``); a batch is matched once,
and the answer never changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from peewee import fn

from agent.core.journal import Entry, JournalError, open_entry
from agent.core.money import MINOR_MAX
from agent.core.settlement import NAMES, Totals
from backend import ingest, instalments, lanes, quarantine
from backend.database import rows
from backend.problems import Problem
from backend.rails.rail import Rail
from backend.schema import Dispute, JournalEntry, Lender, Settlement
from backend.wire import ZERO, SettlementRequest, b64url, from_b64url, write

PAYOUT_AFTER_D: Final = 1
"""The merchant is paid on the day (UTC) after the one on which the batch was first settled."""

BASIS_POINTS: Final = 10_000


def settle(request: SettlementRequest, lane: str, *, now_s: int, rail: Rail | None = None) -> bytes:
    """The answer's bytes: matched, or every difference; fee and payout. To be called inside a transaction.

    ``rail`` is the one that the batch is of, if it is of no lender.

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
    answer = write(_compare(request, lane, rail) | {"payout_date": _payout_date(now_s)})
    Settlement.create(
        lane=lane, lender=request.lender, epoch=request.epoch, batch=request.batch, request_hash=said, answer=answer
    )
    return answer


def fee_minor(captured_minor: int, basis_points: int) -> int:
    """The merchant's fee on a batch: of its sum, not of each sale; half a minor unit is rounded up."""
    return (captured_minor * basis_points + BASIS_POINTS // 2) // BASIS_POINTS


def _check_received(request: SettlementRequest, lane: str) -> None:
    """A batch is matched by what its entries did, so all of them must be posted; or set aside, and they never will be
    (lease rule 11)."""
    row = lanes.journal(lane, request.epoch)
    final_number = quarantine.last_number(row) if row.posted_number == row.number else row.posted_number
    if request.last_number > final_number:
        detail = f"received through {row.number}, posted through {row.posted_number}"
        raise Problem("journal_behind", detail, acknowledged_through=row.number)


def _compare(request: SettlementRequest, lane: str, rail: Rail | None) -> dict[str, Any]:
    totals, numbers = Totals(), (request.epoch, request.first_number, request.last_number)
    for entry in _entries(request, lane):
        totals.add(entry.kind, entry.body)
    ours, head = totals.to_wire(), _hash_of(lane, request.epoch, request.last_number)
    found = list(_differences(request, lane, ours, head))
    of_plans = instalments.merchant_fees_minor(lane, request.lender, *numbers)
    given_back = ours["voided"]["minor"] + ours["refunded"]["minor"]
    paid = _paid(request, lane, rail, ours["captured"]["minor"] - given_back, of_plans)
    return {"matched": not found, "differences": found, "totals": ours, "chain_head": b64url(head)} | paid


def _differences(
    request: SettlementRequest, lane: str, ours: dict[str, dict[str, int]], head: bytes
) -> Iterator[dict[str, Any]]:
    theirs = request.totals_to_wire()
    for name in [*NAMES, *sorted((ours.keys() | theirs.keys()) - set(NAMES))]:
        here, there = ours.get(name, ZERO), theirs.get(name, ZERO)
        if here != there:
            yield {"what": "total", "name": name, "lane": there, "backend": here}
    for number, result, reason in rows(_set_aside(request, lane)):
        yield {"what": "entry", "number": number, "lane": "accepted", "backend": result, "reason": reason}
    if head != from_b64url(request.chain_head):
        halves = {"lane": request.chain_head, "backend": b64url(head)}
        yield {"what": "chain_head", "number": request.last_number} | halves


def _set_aside(request: SettlementRequest, lane: str) -> Any:
    """The batch's entries of this lender that did not take effect as the lane meant them."""
    return (
        Dispute.select(Dispute.number, Dispute.result, Dispute.reason)
        .where(_of(request, lane))
        .order_by(Dispute.number)
    )


def _of(request: SettlementRequest, lane: str) -> Any:
    mine = (Dispute.lane == lane) & (Dispute.epoch == request.epoch) & (Dispute.lender == request.lender)
    return mine & Dispute.number.between(request.first_number, request.last_number)


def _paid(
    request: SettlementRequest, lane: str, rail: Rail | None, captured_minor: int, of_plans_minor: int
) -> dict[str, Any]:
    """Fee and payout: what was captured and not refunded, less what disputes lay on the merchant; the fee has the
    merchant's share of the fees of instalments in it."""
    terms = rail or Lender.get(Lender.lender == request.lender)
    on_merchant = (Dispute.bearer == "merchant") & (Dispute.reason != "refund_excess")  # it is in the totals already
    disputed = Dispute.select(fn.SUM(Dispute.amount_minor)).where(_of(request, lane), on_merchant)
    payable = captured_minor - int(disputed.scalar() or 0)
    fee = fee_minor(max(0, payable), terms.fee_basis_points) + of_plans_minor
    amounts = {"merchant_fee": fee, "net_payout": payable - fee}
    # Amounts on the wire are above zero; what a merchant owes is taken from the next batch by the lender.
    return {name: {"minor": m, "currency": terms.currency} if m > 0 else None for name, m in amounts.items()}


def _payout_date(now_s: int) -> str:
    return (datetime.fromtimestamp(now_s, UTC) + timedelta(days=PAYOUT_AFTER_D)).date().isoformat()


def _entries(request: SettlementRequest, lane: str) -> Iterator[Entry]:
    """The batch's readable entries that move money of this lender; what is nonsense was parked when it was posted."""
    for data in ingest.entries_between(lane, request.epoch, request.first_number, request.last_number):
        try:
            entry = open_entry(data).entry
        except JournalError:
            continue
        if entry.lender == request.lender and _has_amount(entry.body.get("amount_minor"), entry.body.get("approved")):
            yield entry


def _has_amount(amount: object, approved: object) -> bool:
    return type(amount) is int and 0 < amount <= MINOR_MAX and (approved is None or type(approved) is bool)


def _hash_of(lane: str, epoch: int, number: int) -> bytes:
    """Where the backend's half of a batch ends: at the entry, or where the journal was left before it."""
    journal = lanes.journal(lane, epoch)
    if number > journal.number:
        return bytes(journal.hash)
    row = JournalEntry.get(JournalEntry.lane == lane, JournalEntry.epoch == epoch, JournalEntry.number == number)
    return hashlib.sha256(bytes(row.data)).digest()
