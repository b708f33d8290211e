"""Whether a ledger may be an old copy of itself: its head compared with a witness that is kept outside every backup.

The one rule (lease rule 11): in doubt a ledger is a copy. The lane then stands in for nobody until the backend has
confirmed the head; a lane whose witness agrees sells at once, with or without a network.

What this finds without a network: an older ledger put back beside its witness, a ledger moved to another machine, a
ledger whose witness is missing. What it does not find: an image of the whole disk, witness and all; and a copy that is
younger than the last look of the witness (a minute, after a power cut). The backend finds both at the next upload.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agent.core.journal import Head


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The head that was seen, on which machine; ``machine`` is a digest that names it."""

    machine: bytes
    lane: str
    epoch: int
    number: int
    hash: bytes


class Doubt(StrEnum):
    """Why a ledger may be a copy."""

    FIRST_START = "first_start"
    """A journal that has just begun: of a new lane, or in the place of one that was lost."""
    NO_WITNESS = "no_witness"
    OTHER_MACHINE = "other_machine"
    OLDER = "older"
    OTHER_ENTRIES = "other_entries"


LOST: Final = frozenset({Doubt.OLDER, Doubt.OTHER_ENTRIES})
"""The witness has seen entries that this ledger does not hold. Nobody can confirm them away: what the backend never
got is spent and forgotten, so the leases of this epoch are dead and a person begins a new one."""


def doubt(
    head: Head, witnessed: Witnessed | None, *, is_new: bool, is_expected: bool, machine: bytes, there: bytes | None
) -> Doubt | None:
    """None: the ledger is the one that was seen, or goes on from it.

    ``is_new``: the backend has never confirmed this journal. ``is_expected``: the ledger says that it has a witness.
    ``there``: hash of the ledger's entry at the place that was witnessed, None if it has no such entry.
    """
    if witnessed is None or witnessed.lane != head.lane:
        return Doubt.FIRST_START if is_new else Doubt.NO_WITNESS if is_expected else None
    if witnessed.machine != machine:
        return Doubt.OTHER_MACHINE
    if head.position < (witnessed.epoch, witnessed.number):
        return Doubt.OLDER
    return None if there == witnessed.hash else Doubt.OTHER_ENTRIES
