"""Why a lane decided as it did, from the backend's half of the journal.

The one rule: an entry is explained as it was stored, by the policy that its lender had published under the version that
it names.
"""

from __future__ import annotations

from agent.core.journal import JournalError, open_entry
from agent.core.sale_story import DECIDED, story
from backend.admin.operation import Answer, Refused
from backend.compose import Backend
from backend.lenders import policy_of
from backend.schema import JournalEntry


def entry(_backend: Backend, /, *, lane: str, epoch: int, number: int) -> Answer:
    """One decision of a lane, decided again: the same value as the lane's own `explain` gives."""
    row = JournalEntry.get_or_none(lane=lane, epoch=epoch, number=number)
    if row is None:
        raise Refused(f"the lane {lane} has sent no entry {epoch}/{number}")
    try:
        found = open_entry(bytes(row.data)).entry
    except JournalError as error:
        raise Refused(f"{lane} {epoch}/{number} cannot be read: {error}") from None
    if found.kind not in DECIDED:
        raise Refused(f"{lane} {epoch}/{number} is a {found.kind}: nothing was decided by it")
    return {"lane": lane, "sale_id": found.sale_id, **story([found], policy_of)[0]}
