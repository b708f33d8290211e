"""The poster: brings stored entries into effect, journal by journal, in their order.

The one rule: a transaction touches one account, and writes the results of that account's entries and how far the
journal is posted together with its figures. So whatever is cut off in between, the journal says where to go on, and
going on gives the same books.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from peewee import Database

from agent.core.classify import WALLETS
from agent.core.journal import Entry, JournalError, open_entry
from backend import holds, lanes, postings, recovery, wallet_postings
from backend.database import change, compiled, fetch, grouped, rows, transact
from backend.holds import Attempt
from backend.postings import Books, Result
from backend.schema import Dispute, Journal, JournalEntry

CHUNK_ENTRIES: Final = 100
"""How many entries are read at once; on SQLite, how many share a commit."""

_PENDING: Final = compiled(
    JournalEntry.select(JournalEntry.number, JournalEntry.data)
    .where(JournalEntry.lane == "", JournalEntry.epoch == 0, JournalEntry.number.between(0, 0))
    .order_by(JournalEntry.number)
)
_POSTED: Final = compiled(
    Journal.update(posted_number=0, lease_horizon=0).where(
        Journal.lane == "", Journal.epoch == 0, Journal.posted_number == 0
    )
)
_ACCEPTED: Final = compiled(
    JournalEntry.update(result="").where(
        JournalEntry.lane == "", JournalEntry.epoch == 0, JournalEntry.number.between(0, 0)
    )
)
_SET_ASIDE: Final = compiled(
    JournalEntry.update(result="", reason="").where(
        JournalEntry.lane == "", JournalEntry.epoch == 0, JournalEntry.number == 0
    )
)


class _Overtaken(Exception):
    """Another process has posted these entries meanwhile. It never leaves this module."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A stored entry; ``entry`` is None if its bytes cannot be read, ``account`` if it concerns none."""

    number: int
    entry: Entry | None
    account: bytes | None


def post_pending(database: Database, books: Books, *, entries_max: int) -> int:
    """Post up to about ``entries_max`` entries of whatever journals have some; how many there were."""
    behind = Journal.select(Journal.lane, Journal.epoch).where(Journal.posted_number < Journal.number)
    left = entries_max
    for lane, epoch in rows(behind.order_by(Journal.lane, Journal.epoch)):
        if left > 0:
            left -= post_journal(database, lane, epoch, books, entries_max=left)
    return entries_max - left


def post_journal(database: Database, lane: str, epoch: int, books: Books, *, entries_max: int) -> int:
    """Post the next entries of one journal; how many there were. Ends early where an entry is missing (see ``audit``),
    or where another process posts the same journal; not at all while the leases may be missing that it spends from."""
    posted = 0
    if recovery.holds_back(lane):
        return 0
    while posted < entries_max:
        row = lanes.journal(lane, epoch)
        last = min(row.number, row.posted_number + min(CHUNK_ENTRIES, entries_max - posted))
        found = fetch(_PENDING, lane, epoch, row.posted_number + 1, last)
        if [number for number, _ in found] != list(range(row.posted_number + 1, last + 1)) or not found:
            break
        try:
            with grouped(database):
                _post(database, row, found, books)
        except _Overtaken:
            break
        posted += len(found)
    return posted


def _post(database: Database, row: Journal, found: Iterable[tuple[int, bytes]], books: Books) -> None:
    for run in _runs(_opened(found)):
        for held in _held_elsewhere(run):
            transact(database, partial(_release, held), redoable=True)
        transact(database, partial(_post_run, row.lane, row.epoch, run, books), redoable=True)


def _opened(found: Iterable[tuple[int, bytes]]) -> Iterator[_Pending]:
    of_sale: dict[Attempt, bytes | None] = {}
    for number, data in found:
        try:
            entry = open_entry(bytes(data)).entry
        except JournalError:
            yield _Pending(number, None, None)
            continue
        yield _Pending(number, entry, _account(entry, of_sale))


def _account(entry: Entry, of_sale: dict[Attempt, bytes | None]) -> bytes | None:
    """The account of an entry: its own, or that of the sale which it goes on with."""
    key = postings.attempt_of(entry)
    account = postings.account_of(entry)
    if key is None:
        return account
    if account is None:
        if key not in of_sale:
            held = holds.find(key).account
            of_sale[key] = None if held is None else bytes(held)
        return of_sale[key]
    of_sale[key] = account
    return account


def _runs(pending: Iterable[_Pending]) -> Iterator[list[_Pending]]:
    """Neighbours of one account, and with them what concerns none."""
    run: list[_Pending] = []
    account: bytes | None = None
    for each in pending:
        if each.account is not None and account is not None and each.account != account:
            yield run
            run, account = [], None
        run.append(each)
        account = account or each.account
    if run:
        yield run


def _held_elsewhere(run: list[_Pending]) -> Iterator[Attempt]:
    """Sales whose online answer holds money of another account than the lane now names (another pass was shown)."""
    for each in run:
        key = postings.attempt_of(each.entry) if each.entry else None
        if key is not None and each.account is not None and each.entry and postings.decides(each.entry):
            hold = holds.find(key)
            if hold.online_minor and bytes(hold.account or b"") != each.account:
                yield key


def _release(key: Attempt) -> None:
    holds.undo_online(holds.find(key))


def _post_run(lane: str, epoch: int, run: list[_Pending], books: Books) -> None:
    first, last = run[0].number, run[-1].number
    horizon_s = max((each.entry.lease_horizon for each in run if each.entry), default=0)
    row = lanes.journal(lane, epoch)
    if row.posted_number != first - 1:
        raise _Overtaken
    results = [(each, _effect(each.entry, books) if each.entry else postings.MALFORMED) for each in run]
    change(_ACCEPTED, "accepted", lane, epoch, first, last)
    for each, result in results:
        if result.reason is not None:
            change(_SET_ASIDE, result.result, result.reason, lane, epoch, each.number)
            _dispute(lane, epoch, each, result)
    if change(_POSTED, last, max(row.lease_horizon, horizon_s), lane, epoch, first - 1) != 1:
        raise _Overtaken


def _effect(entry: Entry, books: Books) -> Result:
    if entry.lender in WALLETS:
        return wallet_postings.post(entry, books.now_s)
    return postings.post(entry, books)


def _dispute(lane: str, epoch: int, each: _Pending, result: Result) -> None:
    entry: Any = each.entry
    Dispute.create(
        lane=lane,
        epoch=epoch,
        number=each.number,
        sequence=Dispute.select().where(Dispute.lane == lane).count() + 1,
        result=result.result,
        reason=result.reason,
        bearer=result.bearer,
        lender=_shown(entry.lender) if entry else None,
        sale_id=_shown(entry.sale_id) if entry else None,
        account=result.account,
        amount_minor=result.minor,
    )


def _shown(text: str | None) -> str | None:
    return text.replace("\0", "?") if text else text
