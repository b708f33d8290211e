"""Operations on a backend whose database was restored from a backup (lease rule 13).

The one rule: until every lane has reported or was written off, nothing is authorized here and no layer is cut.
"""

from __future__ import annotations

from backend import recovery, reports, strangers
from backend.admin.operation import Answer
from backend.admin.words import moment
from backend.compose import Backend
from backend.database import transact
from backend.lenders import Lender


def show(backend: Backend, /) -> Answer:
    """Whether this backend recovers, since when, why and on which lane's word, the lanes that it waits for, devices
    that somebody must admit, lenders of whose keys or policy lanes have a newer version, and lanes whose word does not
    begin it any more."""
    since_s = recovery.started_at()
    admit = [{"lane": lane, "epoch": epoch, "entries": entries} for lane, epoch, entries in strangers.waiting()]
    since = None if since_s is None else moment(since_s)
    newer = [known.lender for known in backend.lenders.values() if _is_outdated(known)]
    answer = {"recovering_since": since, "waits_for": list(recovery.missing()), "to_admit": admit}
    lane, reason = recovery.begun_by() or (None, None)
    answer |= {"reason": reason, "begun_by": lane, "newer_at_lanes": newer}
    return answer | {"not_believed": recovery.spent_lanes(now_s=backend.clock())}


def _is_outdated(lender: Lender) -> bool:
    return reports.newest_documents(lender) != (lender.key_list.version, lender.policy.version)


def begin(backend: Backend, *, reason: str) -> Answer:
    """Say that the database was restored; it asks its lanes for what it has forgotten from now on."""
    transact(backend.database, lambda: recovery.begin(reason, now_s=backend.clock()))
    return show(backend)
