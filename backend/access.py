"""What a device may do for its lane: decided for each request, from its certificate and the state of its journal.

The one rule (lease rule 12): whoever may no longer act may still drain. A device that was replaced, or whose
certificate has expired, sends what its journal holds; a compromised one does so too, but only into quarantine.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from peewee import JOIN

from backend import lanes
from backend.database import compiled, fetch, rows
from backend.identity import LaneName
from backend.problems import Problem
from backend.schema import Certificate, Journal, Lane

RENEWABLE_S: Final = 30 * 24 * 3600
"""How long after its end a certificate still gets its successor."""


class Call(Enum):
    """What a request asks for, as far as access is concerned."""

    ANYBODY = auto()
    """Without a certificate: the description of the calls, the CA, enrollment."""
    DRAIN = auto()
    REPORT = auto()
    """The heartbeat, by which a backend is found to have forgotten something."""
    RENEW = auto()
    OTHER = auto()


class Access(Enum):
    FULL = auto()
    FORGOTTEN = auto()
    """Our CA has issued the certificate, and these books do not know it: they were restored (lease rule 13)."""
    EXPIRED = auto()
    REPLACED = auto()
    RETIRED = auto()
    COMPROMISED = auto()


_ALLOWED: Final = {
    Access.FULL: frozenset(Call),
    Access.FORGOTTEN: frozenset({Call.DRAIN, Call.REPORT}),
    Access.EXPIRED: frozenset({Call.DRAIN, Call.RENEW}),
    Access.REPLACED: frozenset({Call.DRAIN}),
    Access.RETIRED: frozenset({Call.DRAIN}),
    Access.COMPROMISED: frozenset({Call.DRAIN}),
}
_REFUSED: Final = {
    Access.FORGOTTEN: "lane_unknown",
    Access.EXPIRED: "certificate_expired",
    Access.REPLACED: "lane_replaced",
    Access.RETIRED: "lane_revoked",
    Access.COMPROMISED: "lane_revoked",
}

_BEGAN: Final = Journal.alias()
# Compiled once, and one query: it is on the path of every request. The values are serial and lane.
_DEVICE: Final = compiled(
    Lane.select(
        Lane.merchant, Lane.store, Journal.journal_key, Journal.state, _BEGAN.journal_key, _BEGAN.state
    )
    .join(Journal, on=(Journal.lane == Lane.lane) & (Journal.epoch == Lane.epoch))
    .switch(Lane)
    .join(Certificate, JOIN.LEFT_OUTER, on=(Certificate.lane == Lane.lane) & (Certificate.serial == ""))
    .join(_BEGAN, JOIN.LEFT_OUTER, on=(_BEGAN.lane == Certificate.lane) & (_BEGAN.epoch == Certificate.epoch))
    .where(Lane.lane == "")
)  # fmt: skip


def admit(name: LaneName, call: Call, *, now_s: int) -> None:
    """Raises Problem: lane_unknown, lane_mismatch, lane_replaced, lane_revoked, certificate_expired."""
    access = of(name, now_s=now_s)
    late_s = 0 if name.expires_at is None else now_s - name.expires_at
    if call not in _ALLOWED[access] or (call is Call.RENEW and late_s >= RENEWABLE_S):
        raise Problem(_REFUSED[access])


def of(name: LaneName, *, now_s: int) -> Access:
    """What the device with this certificate is to its lane. Raises Problem: lane_unknown, lane_mismatch."""
    found = fetch(_DEVICE, name.serial or "", name.lane)
    if not found and name.serial is None:
        raise Problem("lane_unknown", name.lane)
    if not found:
        return Access.FORGOTTEN
    merchant, store, present_key, present_state, key, state = found[0]
    if (merchant, store) != (name.merchant, name.store):
        raise Problem("lane_mismatch", "the certificate names another store or merchant")
    if key is None and name.serial is not None:
        return Access.FORGOTTEN
    # A peer without a certificate is of this process, and taken for the present device.
    is_present = key is None or bytes(key) == bytes(present_key)
    if (present_state if is_present else state) in lanes.DISBELIEVED:
        return Access.COMPROMISED
    if not is_present:
        return Access.REPLACED
    if present_state != lanes.OPEN:
        return Access.RETIRED
    return Access.EXPIRED if name.expires_at is not None and now_s >= name.expires_at else Access.FULL


def epoch_of(name: LaneName) -> int:
    """The epoch that the device with this certificate began with; without one, the present device's."""
    mine = (Certificate.lane == name.lane) & (Certificate.serial == (name.serial or ""))
    found = rows(Certificate.select(Certificate.epoch).where(mine))
    return int(found[0][0]) if found else int(lanes.find(name.lane).epoch)


def revoke(lane: str, *, compromised: bool, epoch: int | None = None) -> list[int]:
    """End the right to act of the device that writes ``epoch`` (default: of the present one); the epochs concerned.

    What it still sends is posted, or if it was compromised quarantined: also of a device that was replaced before
    anybody missed it. To be called inside a transaction. Raises Problem: lane_unknown, epoch_unknown.
    """
    its = lanes.journal(lane, lanes.find(lane).epoch if epoch is None else epoch)
    state = lanes.QUARANTINED if compromised else lanes.DRAINING
    mine = (Journal.lane == lane) & (Journal.journal_key == bytes(its.journal_key))
    ended = mine & Journal.state.in_([lanes.OPEN, lanes.DRAINING])
    epochs = [row.epoch for row in Journal.select(Journal.epoch).where(ended).order_by(Journal.epoch)]
    Journal.update(state=state).where(ended).execute()
    return epochs
