"""Devices that restored books have forgotten: enrolled, replaced or begun anew after the backup was made.

The one rule: that such a device exists proves that something was forgotten, and what it recorded is stored at once; but
it takes effect only when an operator has said that the device is the lane's. Until then nothing is granted to anybody.

The device shows a certificate that only this backend's CA can have issued, and its journal begins with the entry that
binds the journal key. A journal that the lane's own present device has begun needs no operator: its key is known.
"""

from __future__ import annotations

from typing import Final

from agent.core import journal
from agent.core.cose import CoseError, PublicKey
from agent.core.journal import GENESIS_HASH, JournalError, Kind
from backend import access, certificates, ingest, lanes, quarantine, recovery, reports
from backend.access import Access
from backend.database import rows
from backend.identity import LaneName
from backend.ingest import Upload
from backend.problems import Problem
from backend.schema import EpochChange, Journal, JournalEntry, Lane, Stranger

_FORGOTTEN: Final = b""
"""In place of a request or an answer that nobody remembers."""


class NoStranger(Exception):
    """The journal does not wait to be admitted; the message is a sentence."""


def journal_of(upload: Upload, name: LaneName, *, now_s: int) -> Journal:
    """The journal of an upload; begun here if its device was forgotten. To be called inside a transaction.

    Raises Problem: lane_unknown, epoch_unknown; upload_signature if its own first entry binds another key.
    """
    try:
        return lanes.journal(upload.lane, upload.epoch)
    except Problem as unknown:
        device, key = access.of(name, now_s=now_s), _bound_key(upload)
        is_present = device is Access.FULL and _goes_on(upload, key)
        if key is None or not (is_present or device is Access.FORGOTTEN) or _is_disbelieved(upload.lane, key):
            raise unknown from None
        if recovery.started_at() is None and recovery.is_spent(upload.lane, now_s=now_s):
            raise unknown from None
    if Lane.get_or_none(Lane.lane == upload.lane) is None:
        Lane.create(lane=name.lane, store=name.store, merchant=name.merchant, epoch=lanes.NO_EPOCH)
    row = lanes.new_journal(upload.lane, upload.epoch, key, lanes.UNCONFIRMED)
    ingest.check_signature(upload, row)
    if recovery.started_at() is None:
        recovery.begin(reports.JOURNAL_FORGOTTEN, now_s=now_s, lane=upload.lane)
    if is_present:
        _leave(upload.lane)
        _take_over(upload.lane, upload.epoch)
    else:
        Stranger.create(lane=name.lane, epoch=upload.epoch, serial=name.serial or "", expires_at=name.expires_at or 0)
    return lanes.journal(upload.lane, upload.epoch)


def admit(lane: str, epoch: int, *, compromised: bool = False) -> str:
    """The operator's word that the device is, or was, the lane's; the journal's state from now on.

    The device that these books took for the present one may only drain, or is ``compromised``. To be called inside a
    transaction. Raises NoStranger, Problem: lane_unknown, epoch_unknown.
    """
    stranger, present = _waiting(lane, epoch), lanes.find(lane).epoch
    if epoch < present:
        lanes.set_state(lane, epoch, lanes.DRAINING)
    else:
        if present != lanes.NO_EPOCH:
            access.revoke(lane, compromised=compromised)
        _take_over(lane, epoch)
    certificates.remember(LaneName(lane, "", "", stranger.serial, stranger.expires_at), epoch)
    _forget_stranger(lane, epoch)
    return str(lanes.journal(lane, epoch).state)


def refuse(lane: str, epoch: int, *, now_s: int) -> None:
    """The operator's word that nobody vouches for the device: what it sent, and what it still sends, is quarantined.

    To be called inside a transaction. Raises NoStranger, Problem: lane_unknown, epoch_unknown.
    """
    stranger, row = _waiting(lane, epoch), lanes.journal(lane, epoch)
    sent = list(ingest.entries_between(lane, epoch, 1, row.number))
    mine = (JournalEntry.lane == lane) & (JournalEntry.epoch == epoch)
    JournalEntry.delete().where(mine).execute()
    Journal.update(state=lanes.QUARANTINED, number=0, hash=GENESIS_HASH).where(
        Journal.lane == lane, Journal.epoch == epoch
    ).execute()
    if lanes.find(lane).epoch == lanes.NO_EPOCH:
        Lane.update(epoch=epoch).where(Lane.lane == lane).execute()
    certificates.remember(LaneName(lane, "", "", stranger.serial, stranger.expires_at), epoch)
    _forget_stranger(lane, epoch)
    quarantine.keep(lanes.journal(lane, epoch), sent, now_s=now_s)


def waiting() -> list[tuple[str, int, int]]:
    """The journals that wait to be admitted: lane, epoch, and how many entries are stored."""
    query = Journal.select(Journal.lane, Journal.epoch, Journal.number).where(Journal.state == lanes.UNCONFIRMED)
    return [(lane, epoch, number) for lane, epoch, number in rows(query.order_by(Journal.lane, Journal.epoch))]


def _bound_key(upload: Upload) -> PublicKey | None:
    """The journal key that the first entry of an epoch binds; None if the upload does not begin with such an entry."""
    try:
        entry = journal.open_entry(upload.entries[0]).entry
        if upload.first != 1 or entry.kind != Kind.EPOCH_START:
            return None
        return PublicKey.from_cose_key(entry.body.get("journal_key"))
    except (JournalError, CoseError):
        return None


def _goes_on(upload: Upload, key: PublicKey | None) -> bool:
    """Whether the lane's present device, known by its key, has begun a later epoch."""
    present = lanes.journal(upload.lane, lanes.find(upload.lane).epoch)
    return key is not None and upload.epoch > present.epoch and bytes(present.journal_key) == lanes.stored_key(key)


def _is_disbelieved(lane: str, key: PublicKey) -> bool:
    same = (Journal.lane == lane) & (Journal.journal_key == lanes.stored_key(key))
    left = EpochChange.select(EpochChange.epoch).where(EpochChange.lane == lane)
    return Journal.select().where(same, Journal.state.in_(lanes.DISBELIEVED), Journal.epoch.not_in(left)).exists()


def _leave(lane: str) -> None:
    """The present device has left its journal, as ``epochs.start`` had agreed with it: frozen at what is stored."""
    present = lanes.find(lane).epoch
    lanes.set_state(lane, present, lanes.QUARANTINED)
    EpochChange.create(lane=lane, epoch=present, request_hash=_FORGOTTEN, answer=_FORGOTTEN)


def _take_over(lane: str, epoch: int) -> None:
    Lane.update(epoch=epoch).where(Lane.lane == lane).execute()
    lanes.set_state(lane, epoch, lanes.OPEN)


def _waiting(lane: str, epoch: int) -> Stranger:
    stranger = Stranger.get_or_none(Stranger.lane == lane, Stranger.epoch == epoch)
    if stranger is None or lanes.journal(lane, epoch).state != lanes.UNCONFIRMED:
        raise NoStranger(f"no device of {lane} waits to be admitted with epoch {epoch}")
    return stranger


def _forget_stranger(lane: str, epoch: int) -> None:
    Stranger.delete().where(Stranger.lane == lane, Stranger.epoch == epoch).execute()
