"""Operations on leases: what is outstanding, why it still counts, and what would release it.

The one rule: a grant is shown as outstanding only if ``core.leases`` counts it; the reasons are read from the same
rows (lease rules 1, 2 and 5).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from peewee import fn

from agent.core import leases
from agent.core.journal import Position
from backend import lanes, recalls
from backend.admin.named import chosen_lender, find, lender_with, lenders_meant
from backend.admin.operation import Answer, Progress, Steps
from backend.admin.words import duration, moment
from backend.compose import Backend
from backend.database import rows, transact
from backend.schema import Hold, Horizon, Installed, Journal, LeaseGrant

SHOWN_MAX: Final = 1_000
CHUNK: Final = 50


@dataclass(frozen=True, slots=True)
class End:
    """How far the journal of one epoch of a lane has come here."""

    lane: str
    epoch: int
    state: str
    installed_sequence: int
    horizon_s: int


def outstanding(
    backend: Backend,
    *,
    account: str | None = None,
    lane: str | None = None,
    lender: str | None = None,
    limit: int = SHOWN_MAX,
) -> Steps:
    """Each account's lease at each lane that may still be spent, with its reason; ``limit`` rows at most."""
    if account:
        by = lender_with(backend, account, lender).lender
        wanted = [(by, bytes(find(by, account).token))]
    else:
        wanted = [(by, token) for by in lenders_meant(backend, lender) for token in _accounts_with_grants(by, lane)]
    shown: list[Answer] = []
    for done, (by, token) in enumerate(wanted):
        if len(shown) >= limit:
            return {"leases": shown[:limit], "complete": False}
        if done and done % CHUNK == 0:
            yield Progress(done, len(wanted), "accounts")
        shown += [lease for lease in of_account(by, token, now_s=backend.clock()) if lane in (None, lease["lane"])]
    return {"leases": shown[:limit], "complete": len(shown) <= limit}


def of_account(lender: str, token: bytes, *, now_s: int) -> Iterator[dict[str, Any]]:
    """What each lane may still spend of the account's leases, largest grant first to blame."""
    for end, counted in _by_journal(lender, token):
        alive = leases.live(counted, installed_sequence=end.installed_sequence, horizon_s=end.horizon_s)
        use = _online_use(lender, token, end)
        left = leases.outstanding(alive, use)
        if end.state not in lanes.GIVEN_UP and left:
            most = max(alive, key=lambda grant: grant.left_minor)
            amounts = {"outstanding_minor": left, "online_minor": use}
            yield {"lender": lender, "account": token.hex()} | amounts | _to_json(end, most, now_s)


def _to_json(end: End, counted: leases.Counted, now_s: int) -> dict[str, Any]:
    grant = counted.grant
    return {
        "lane": end.lane,
        "epoch": end.epoch,
        "layer": grant.sequence,
        "granted_minor": grant.granted_minor,
        "spent_minor": counted.spent_minor,
        "valid_until": moment(grant.valid_until_s),
        "why": why(end, grant, now_s),
        "released_by": released_by(end, grant, now_s),
    }


def why(end: End, grant: leases.Grant, now_s: int) -> str:
    """Why the grant still counts, in a sentence."""
    if grant.sequence > end.installed_sequence:
        told = f"tells of layer {end.installed_sequence}" if end.installed_sequence else "tells of no layer yet"
        use = f"layer {grant.sequence} was signed and counts from then on; the lane {told} and may install it"
    else:
        use = f"the lane works with layer {grant.sequence}"
    if grant.valid_until_s <= now_s:
        ago = duration(now_s - grant.valid_until_s)
        return f"{use}; it lapsed {ago} ago, but the lane has not sworn to a time after that"
    return use


def released_by(end: End, grant: leases.Grant, now_s: int) -> str:
    """What would end it."""
    if end.state == lanes.QUARANTINED:
        return f"lane write-off {end.lane} --epoch {end.epoch}: what this journal says moves nothing any more"
    if grant.valid_until_s <= now_s:
        return f"the next entry of the lane, or: lane write-off {end.lane} --epoch {end.epoch}"
    returned = f"a return by the lane, or an entry of it from {moment(grant.valid_until_s)} on"
    if end.installed_sequence < grant.sequence:
        return returned
    return f"a newer layer that the lane tells as installed, {returned}"


def _by_journal(lender: str, token: bytes) -> Iterator[tuple[End, list[leases.Counted]]]:
    found: dict[tuple[str, int], list[leases.Counted]] = defaultdict(list)
    query = LeaseGrant.select().where(LeaseGrant.account == token, LeaseGrant.lender == lender)
    for row in query.order_by(LeaseGrant.lane, LeaseGrant.epoch, LeaseGrant.sequence):
        applied = Position(row.epoch, row.applied_number)
        grant = leases.Grant(row.sequence, row.granted_minor, applied, row.valid_until_s)
        found[row.lane, row.epoch].append(leases.Counted(grant, row.spent_minor))
    for (lane, epoch), counted in found.items():
        yield _end(lane, epoch, lender), counted


def _end(lane: str, epoch: int, lender: str) -> End:
    journal = Journal.get(Journal.lane == lane, Journal.epoch == epoch)
    told = Installed.get_or_none(Installed.lane == lane, Installed.epoch == epoch, Installed.lender == lender)
    horizon = Horizon.get_or_none(Horizon.lane == lane, Horizon.epoch == epoch, Horizon.lender == lender)
    return End(
        lane, epoch, journal.state, told.sequence if told else 0, horizon.lease_horizon if horizon is not None else 0
    )


def _online_use(lender: str, token: bytes, end: End) -> int:
    mine = (Hold.account == token) & (Hold.lender == lender) & (Hold.lane == end.lane)
    used = Hold.select(fn.SUM(Hold.online_use_minor)).where(mine, Hold.lease_epoch == end.epoch).scalar()
    return int(used or 0)


def _accounts_with_grants(lender: str, lane: str | None) -> list[bytes]:
    query = LeaseGrant.select(LeaseGrant.account).where(LeaseGrant.lender == lender, LeaseGrant.granted_minor > 0)
    if lane is not None:
        query = query.where(LeaseGrant.lane == lane)
    return [bytes(token) for (token,) in rows(query.distinct().order_by(LeaseGrant.account))]


def recall(
    backend: Backend,
    *,
    reason: str,
    lane: str | None = None,
    account: str | None = None,
    lender: str | None = None,
    hold_s: int = 0,
) -> Answer:
    """Ask for leases back before they lapse: of an account or all, at a lane or everywhere. It asks and frees nothing;
    the lanes' own journals do."""
    by = (lender_with(backend, account, lender) if account else chosen_lender(backend, lender)).lender
    token = bytes(find(by, account).token) if account else None
    if lane is not None:
        lanes.find(lane)

    def work() -> list[str]:
        asked = recalls.request(by, reason=reason, now_s=backend.clock(), lane=lane, account=token, hold_s=hold_s)
        return [row.lane for row in asked]

    return {"asked": transact(backend.database, work)}
