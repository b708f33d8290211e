"""Layers that a restored backend has forgotten, taken back from the lanes that hold them (lease rule 13).

The one rule: a layer counts only by the signature of its lender, for the very lane that sends it; from then on its
grants count like those that were never forgotten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial

from peewee import Database

from agent.core.journal import JournalError, open_entry
from agent.core.snapshot_layer import Record, SnapshotError
from agent.core.snapshot_reader import Layer, open_layer, trusting
from agent.core.travel import Place
from backend import accounts, lanes
from backend.database import rows, transact
from backend.lenders import Lender
from backend.problems import Problem
from backend.schema import Account, JournalEntry, LeaseGrant, SnapshotLayer


def take(database: Database, lane: str, lender: Lender, sequence: int, data: bytes, *, now_s: int) -> None:
    """Store a layer's grants, account by account, and last the layer itself, so that an attempt that broke off is
    taken up again. Raises Problem: layer_untrusted, layer_conflict; journal_behind, as long as entries that the layer
    includes are not stored here: they will be told, and the layer is asked for again."""
    layer = _verified(lane, lender, sequence, data, now_s)
    stored = SnapshotLayer.get_or_none(
        SnapshotLayer.lane == lane, SnapshotLayer.lender == lender.lender, SnapshotLayer.sequence == sequence
    )
    if stored is not None:
        if bytes(stored.digest) != layer.digest:
            raise Problem("layer_conflict", f"layer {sequence} of {lender.lender}")
        return
    manifest = layer.manifest
    if (stored_through := lanes.journal(lane, manifest.lease_epoch).number) < manifest.applied_through[lane][1]:
        raise Problem("journal_behind", f"received through {stored_through}", acknowledged_through=stored_through)
    spent = _spent_since(layer, lane, lender.lender)
    for token, record in _records(layer, lender.lender):
        transact(database, partial(_grant, layer, lane, token, record, spent.get(token, 0)), redoable=True)
    transact(database, partial(_store, layer, lane, data))


def _verified(lane: str, lender: Lender, sequence: int, data: bytes, now_s: int) -> Layer:
    try:
        layer = open_layer(data, trusting(lender.key_list, now_s))
        manifest = layer.manifest
        is_ours = (manifest.lane, manifest.lender, manifest.sequence) == (lane, lender.lender, sequence)
        if not is_ours or lane not in manifest.applied_through:
            raise Problem("layer_untrusted", "the layer is for another lane, lender or sequence")
        for index in range(layer.header.pages_end):
            layer.page(index)
        lanes.journal(lane, manifest.lease_epoch)
    except SnapshotError as error:
        raise Problem("layer_untrusted", str(error)) from None
    return layer


def _records(layer: Layer, lender: str) -> Iterator[tuple[bytes, Record]]:
    """What the layer says of each account that is known here."""
    for (found,) in rows(Account.select(Account.token).where(Account.lender == lender).order_by(Account.token)):
        token = bytes(found)
        record = layer.lookup(token)
        if record is not None and not record.removed:
            yield token, record


def _spent_since(layer: Layer, lane: str, lender: str) -> dict[bytes, int]:
    """What posted entries after the layer took of each lease, less what entries that the layer includes are still to
    take here: their posting counts against it too, and both are to leave the lease as the layer states it.

    Entries that were set aside are not counted, though a part may have been: the lease then counts for too much, never
    for too little."""
    epoch, applied_number = layer.manifest.lease_epoch, layer.manifest.applied_through[lane][1]
    is_after = JournalEntry.number > applied_number
    query = JournalEntry.select(JournalEntry.data, is_after).where(
        JournalEntry.lane == lane,
        JournalEntry.epoch == epoch,
        (is_after & (JournalEntry.result == "accepted")) | (~is_after & JournalEntry.result.is_null()),
    )
    spent: dict[bytes, int] = {}
    for data, is_later in rows(query):
        try:
            entry = open_entry(bytes(data)).entry
        except JournalError:
            continue
        if entry.lender != lender:
            continue
        lease, account = entry.body.get("lease"), entry.body.get("account")
        if isinstance(lease, dict) and type(lease.get("delta_minor")) is int and isinstance(account, bytes):
            delta = lease["delta_minor"]
            spent[account] = spent.get(account, 0) + (delta if is_later else -delta)
    return spent


def _grant(layer: Layer, lane: str, token: bytes, record: Record, spent_minor: int) -> None:
    manifest = layer.manifest
    account = accounts.find(manifest.lender, token)
    assert account is not None, "accounts are never deleted"
    granted = LeaseGrant.insert(
        account=token,
        lender=manifest.lender,
        lane=lane,
        epoch=manifest.lease_epoch,
        sequence=manifest.sequence,
        granted_minor=record.allowance_minor,
        applied_number=manifest.applied_through[lane][1],
        valid_until_s=record.valid_until_s,
        spent_minor=spent_minor,
        edition=0,
    )
    granted.on_conflict_ignore().execute()
    accounts.guard(account)


def _store(layer: Layer, lane: str, data: bytes) -> None:
    manifest = layer.manifest
    SnapshotLayer.create(
        lane=lane,
        lender=manifest.lender,
        sequence=manifest.sequence,
        epoch=manifest.lease_epoch,
        base_sequence=manifest.base_sequence,
        built_at=manifest.built_at,
        digest=layer.digest,
        sha256=hashlib.sha256(data).digest(),
        size=len(data),
        data=data,
        **Place(*manifest.origin)._asdict(),
    )
