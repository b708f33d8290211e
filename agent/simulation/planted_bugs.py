"""Bugs that the simulation must find: each is planted into the running product for a run, never kept in it.

The one rule: a bug here is a mistake that a reasonable engineer has made somewhere before, and the auditor must notice
its consequence, not its code.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final
from unittest import mock

from agent.core import leases
from agent.core.authorization import Hold
from agent.core.journal import Draft, Kind, Position
from agent.core.print_job import PrintJobState
from agent.core.trusted_time import ClockReading
from agent.ports import PrintMark
from agent.services.checkout import Checkout
from agent.services.outcomes import Outcomes
from agent.services.printing import Spooler
from agent.services.witness import HeadWitness
from agent.simulation.backend_process import LENDER
from agent.simulation.town import START_S
from agent.store.ledger import SqliteLedger
from agent.uplink.client import BackendClient
from agent.uplink.faults import Torn
from backend import allowances, database, ingest, postings, recovery
from backend.schema import JournalEntry

WRITE_LATER_S: Final = 0.2
DROPPED_EVERY: Final = 37
NEW_ATTEMPT: Final = 50


def show_before_commit() -> AbstractContextManager[object]:
    """The answer is given first and written a moment later."""
    record = Outcomes.record

    def hasty(self: Outcomes, before: Hold, draft: Draft, reading: ClockReading) -> Hold:
        hold = before.apply(draft.kind, draft.body)
        asyncio.get_running_loop().call_later(WRITE_LATER_S, record, self, before, draft, reading)
        self._announce(hold)
        return hold

    return mock.patch.object(Outcomes, "record", hasty)


def acknowledge_and_drop() -> AbstractContextManager[object]:
    """The backend acknowledges an entry that it does not store."""
    put_many = database.put_many
    number = JournalEntry._meta.sorted_field_names.index("number")

    def forgetful(model: Any, statement: Any, rows: list[tuple[Any, ...]]) -> None:
        put_many(model, statement, [row for row in rows if row[number] % DROPPED_EVERY])

    return mock.patch.object(ingest, "put_many", forgetful)


def forget_own_spends() -> AbstractContextManager[object]:
    """The lane takes the snapshot's figure as it is and forgets what it has approved since."""
    return mock.patch.object(SqliteLedger, "spent_after", lambda *_: 0)


@contextmanager
def free_the_debit_at_the_intent() -> Iterator[None]:
    """The backend counts a reserved debit as spent when the intent arrives, and hands the rest out again."""
    post = postings.post
    debits: dict[tuple[Any, ...], int] = {}

    def early(entry: Any, books: Any) -> Any:
        key, body = (entry.lane, entry.sale_id, entry.attempt), entry.body
        if entry.kind == Kind.ONLINE_INTENT and body["lease"]:
            debits[key] = body["lease"]["debit_minor"]
            allowances.spend(entry.lane, entry.epoch, entry.lender, body["account"], debits[key])
        elif entry.kind in (Kind.ONLINE_OUTCOME, Kind.AUTHORIZATION, Kind.DECLINE) and key in debits:
            allowances.spend(entry.lane, entry.epoch, entry.lender, body["account"], -debits.pop(key))
        return post(entry, books)

    with mock.patch.object(postings, "post", early):
        yield


def lapse_by_the_backends_clock() -> AbstractContextManager[object]:
    """The backend takes a lease back when its own clock says so, without a word from the lane (lease rule 1)."""
    live = leases.live

    def impatient(grants: Any, *, installed_sequence: int, horizon_s: int) -> Any:
        now_s = START_S + int(asyncio.get_running_loop().time())
        return live(grants, installed_sequence=installed_sequence, horizon_s=max(horizon_s, now_s))

    return mock.patch.object(leases, "live", impatient)


def new_key_on_retry() -> AbstractContextManager[object]:
    """A request whose answer was torn is sent again under another idempotency key."""
    authorize = BackendClient.authorize

    async def forgetful(self: BackendClient, key: str, body: bytes, budget_s: float) -> dict[str, Any]:
        try:
            return await authorize(self, key, body, budget_s)
        except Torn:
            fields = json.loads(body)
            fields["attempt"] += NEW_ATTEMPT
            again = f"{key.rpartition('/')[0]}/{fields['attempt']}"
            return await authorize(self, again, json.dumps(fields).encode(), budget_s)

    return mock.patch.object(BackendClient, "authorize", forgetful)


def reprint_without_a_mark() -> AbstractContextManager[object]:
    """After a crash a slip that was being printed is printed again as if nothing had come out."""

    def careless(self: Spooler) -> None:
        for job in self._ledger.print_jobs():
            if job.state is PrintJobState.PRINTING:
                self._ledger.mark_print_job(PrintMark(job.job_id, PrintJobState.QUEUED))

    return mock.patch.object(Spooler, "_recover", careless)


def share_exposure_between_lenders() -> AbstractContextManager[object]:
    """The lane looks what was spent up under the first lender, whose account it is (lease rule 16)."""
    spent_after = SqliteLedger.spent_after

    def mixed_up(self: SqliteLedger, _lender: str, account: bytes, position: Position) -> int:
        return spent_after(self, LENDER, account, position)

    return mock.patch.object(SqliteLedger, "spent_after", mixed_up)


def repeat_as_a_new_attempt() -> AbstractContextManager[object]:
    """A POS that asks again after a time-out gets a new decision."""
    return mock.patch.object(Checkout, "_known", lambda *_: None)


def stand_in_with_a_restored_ledger() -> AbstractContextManager[object]:
    """The lane believes whatever ledger it finds (lease rule 11)."""
    return mock.patch.object(HeadWitness, "_compared", lambda *_, **__: None)


@contextmanager
def grant_as_if_nothing_were_forgotten() -> Iterator[None]:
    """A backend that was put back goes on at once, without hearing its lanes (lease rule 13)."""
    with mock.patch.object(recovery, "begin", lambda *_, **__: False):
        yield


def forget_leases_after_a_cut() -> AbstractContextManager[object]:
    """Once a limit was cut, the backend compares with it what is used and held, and forgets what is still leased."""
    available = allowances.available

    def forgetful(account: Any) -> int:
        free: int = account.limit_minor - account.used_minor - account.held_minor
        return free if account.limit_cut else available(account)

    return mock.patch.object(allowances, "available", forgetful)


def refund_as_if_nothing_were_given_back() -> AbstractContextManager[object]:
    """Each refund is compared with what was captured, and not with what of it is left."""
    return mock.patch.object(Hold, "refundable_minor", property(lambda hold: hold.captured_minor))


BUGS: Final[Mapping[str, Callable[[], AbstractContextManager[object]]]] = {
    "show before commit": show_before_commit,
    "acknowledge and drop": acknowledge_and_drop,
    "forget own spends": forget_own_spends,
    "free the debit at the intent": free_the_debit_at_the_intent,
    "lapse by the backend's clock": lapse_by_the_backends_clock,
    "new key on retry": new_key_on_retry,
    "reprint without a mark": reprint_without_a_mark,
    "repeat as a new attempt": repeat_as_a_new_attempt,
    "stand in with a restored ledger": stand_in_with_a_restored_ledger,
    "share exposure between lenders": share_exposure_between_lenders,
    "grant as if nothing were forgotten": grant_as_if_nothing_were_forgotten,
    "forget leases after a limit cut": forget_leases_after_a_cut,
    "refund as if nothing were given back": refund_as_if_nothing_were_given_back,
}
