"""Operations on a backend whose database was restored from a backup (lease rule 13).

The one rule: until every lane has reported or was written off, nothing is authorized here and no layer is cut.
"""

from __future__ import annotations

from backend import recovery, strangers
from backend.admin.operation import Answer
from backend.admin.words import moment
from backend.compose import Backend
from backend.database import transact


def show(_backend: Backend, /) -> Answer:
    """Whether this backend recovers, since when, the lanes that it waits for, and devices that somebody must admit."""
    since_s = recovery.started_at()
    admit = [{"lane": lane, "epoch": epoch, "entries": entries} for lane, epoch, entries in strangers.waiting()]
    since = None if since_s is None else moment(since_s)
    return {"recovering_since": since, "waits_for": list(recovery.missing()), "to_admit": admit}


def begin(backend: Backend, *, reason: str) -> Answer:
    """Say that the database was restored; it asks its lanes for what it has forgotten from now on."""
    transact(backend.database, lambda: recovery.begin(reason, now_s=backend.clock()))
    return show(backend)
