"""Lanes and their journals as the backend knows them.

The one rule: a lane that is not enrolled gets nothing, whatever its certificate says; and a lease belongs to the
journal of one epoch, which alone can end it.
"""

from __future__ import annotations

from typing import Final

from agent.core import cbor
from agent.core.cose import PublicKey
from agent.core.journal import GENESIS_HASH, Head
from backend.database import load, rows, selecting
from backend.problems import Problem
from backend.schema import Journal, Lane

OPEN: Final = "open"
"""Of the lane's present device."""
DRAINING: Final = "draining"
"""Of a device that was replaced: it sends what it still has, and takes effect."""
QUARANTINED: Final = "quarantined"
"""What still comes is kept and shown, and moves no money."""
CLOSED: Final = "closed"
"""Ended: nothing comes any more."""
WRITTEN_OFF: Final = "written_off"
"""Given up: its leases are counted no more, what still surfaces is the lender's risk (lease rule 1)."""
QUARANTINED_WRITTEN_OFF: Final = "quarantined_written_off"
"""Both: its leases are counted no more, and what still comes moves no money all the same."""
UNCONFIRMED: Final = "unconfirmed"
"""Of a device that these books have forgotten: stored, and without effect until an operator admits it."""
DISBELIEVED: Final = frozenset({QUARANTINED, QUARANTINED_WRITTEN_OFF})
NO_EPOCH: Final = 0
"""Of a lane none of whose devices has been admitted yet."""
GIVEN_UP: Final = (WRITTEN_OFF, QUARANTINED_WRITTEN_OFF)

# Compiled once: they are on the path of every request.
FIND: Final = selecting(Lane, Lane.lane == "")
JOURNAL: Final = selecting(Journal, Journal.lane == "", Journal.epoch == 0)


def find(lane: str) -> Lane:
    """Raises Problem("lane_unknown")."""
    row = load(Lane, FIND, lane)
    if row is None:
        raise Problem("lane_unknown", lane)
    return row


def of_epoch(lane: str, epoch: int) -> Lane:
    """The lane, if ``epoch`` is its current one. Raises Problem: lane_unknown, epoch_unknown."""
    row = find(lane)
    if row.epoch != epoch:
        raise Problem("epoch_unknown", f"epoch {epoch}, this lane writes epoch {row.epoch}", epoch=row.epoch)
    return row


def journal(lane: str, epoch: int) -> Journal:
    """The journal of that epoch, current or not. Raises Problem: lane_unknown, epoch_unknown."""
    row = load(Journal, JOURNAL, lane, epoch)
    if row is None:
        current = find(lane).epoch
        raise Problem("epoch_unknown", f"epoch {epoch}, this lane writes epoch {current}", epoch=current)
    return row


def same_merchant(lane: str, other: str) -> bool:
    """Whether both lanes are known and belong to one merchant."""
    found = [load(Lane, FIND, name) for name in (lane, other)]
    return None not in found and found[0].merchant == found[1].merchant  # type: ignore[union-attr]


def open_journal(lane: str, epoch: int, key: PublicKey) -> Journal:
    """An empty journal, signed for by ``key``, that becomes the lane's current one. What becomes of the one before
    is the caller's to say (``set_state``). To be called inside a transaction."""
    Lane.update(epoch=epoch).where(Lane.lane == lane).execute()
    return new_journal(lane, epoch, key, OPEN)


def new_journal(lane: str, epoch: int, key: PublicKey, state: str) -> Journal:
    """An empty journal that is signed for by ``key``. To be called inside a transaction."""
    return Journal.create(lane=lane, epoch=epoch, journal_key=stored_key(key), hash=GENESIS_HASH, state=state)


def stored_key(key: PublicKey) -> bytes:
    """A journal key as it is kept here."""
    return cbor.encode(key.to_cose_key())


def journal_key(row: Journal) -> PublicKey:
    return PublicKey.from_cose_key(cbor.decode(bytes(row.journal_key)))


def in_service() -> list[str]:
    """The lanes whose device may act for them: who else is told nothing needs nothing."""
    current = (Journal.lane == Lane.lane) & (Journal.epoch == Lane.epoch)
    found = rows(Lane.select(Lane.lane).join(Journal, on=current).where(Journal.state == OPEN).order_by(Lane.lane))
    return [lane for (lane,) in found]


def set_state(lane: str, epoch: int, state: str) -> None:
    Journal.update(state=state).where(Journal.lane == lane, Journal.epoch == epoch).execute()


def head_of(row: Journal) -> Head:
    """The end of a journal's chain as stored here."""
    return Head(row.lane, row.epoch, row.number, bytes(row.hash))
