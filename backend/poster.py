"""The poster: brings stored entries into effect, journal by journal, in their order.

The one rule: a transaction touches one account, and writes the results of that account's entries and how far the
journal is posted together with its figures. So whatever is cut off in between, the journal says where to go on, and
going on gives the same books.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from peewee import Database

from agent.core.classify import WALLETS
from agent.core.journal import Entry, JournalError, Kind, open_entry
from backend import (
    accounts,
    allowances,
    authorizations,
    disputes,
    holds,
    lanes,
    places,
    postings,
    recovery,
    wallet_postings,
)
from backend.database import (
    Contended,
    Statement,
    compiled,
    fetch,
    fetch_all,
    grouped,
    inserting,
    is_passing,
    load,
    off_page,
    on_page,
    put,
    selecting,
    transact,
)
from backend.entries import Books, account_of, attempt_of, decides, proof_of
from backend.holds import Attempt
from backend.postings import Result
from backend.schema import Hold, Horizon, Journal, JournalEntry
from backend.standstills import Standstills

CHUNK_ENTRIES: Final = 100
"""How many entries are read at once; on SQLite, how many share a commit."""

_ALONE: Final = frozenset(
    {Kind.EPOCH_START, Kind.LEASE_RETURN, Kind.LEASE_REQUEST, Kind.SNAPSHOT_INSTALLED, Kind.REFUND_OUTCOME}
)
"""Rare kinds, whose effects are read and written as they come."""

_BEHIND: Final = compiled(
    Journal.select(Journal.lane, Journal.epoch)
    .where(Journal.posted_number < Journal.number, Journal.state != "")
    .order_by(Journal.lane, Journal.epoch)
)
_PENDING: Final = compiled(
    JournalEntry.select(JournalEntry.number, JournalEntry.data)
    .where(JournalEntry.lane == "", JournalEntry.epoch == 0, JournalEntry.number.between(0, 0))
    .order_by(JournalEntry.number)
)
_MONEY: Final = compiled(
    Hold.select(Hold.account, Hold.online_minor).where(
        Hold.lane == "", Hold.lender == "", Hold.sale_id == "", Hold.attempt == 0
    )
)
_POSTED: Final = compiled(
    Journal.update(posted_number=0).where(Journal.lane == "", Journal.epoch == 0, Journal.posted_number == 0)
)
HORIZON: Final = selecting(Horizon, Horizon.lane == "", Horizon.epoch == 0, Horizon.lender == "")
_SWEAR: Final = inserting(Horizon, "REPLACE")
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


_Money = Mapping[Attempt, tuple[bytes | None, bool]]
"""Of sales: whose money it is, and whether an online answer holds some."""


class _Overtaken(Exception):
    """Another process has posted these entries meanwhile. It never leaves this module."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A stored entry; ``entry`` is None if its bytes cannot be read, ``account`` if it concerns none. ``elsewhere``:
    an online answer holds money for its sale, of another account than the lane now names (another pass was shown)."""

    number: int
    entry: Entry | None
    key: Attempt | None = None
    account: bytes | None = None
    elsewhere: bool = False


def post_pending(database: Database, books: Books, stopped: Standstills, *, entries_max: int) -> int:
    """Post up to about ``entries_max`` entries of whatever journals have some; how many there were. A journal that does
    not go on leaves the others their turn; raises Contended after it, if that was why."""
    left, contended = entries_max, None
    for lane, epoch in fetch(_BEHIND, lanes.UNCONFIRMED):
        if left <= 0:
            break
        try:
            left -= post_journal(database, lane, epoch, books, stopped, entries_max=left)
        except Contended as error:
            contended = error
    if contended is not None:
        raise contended
    return entries_max - left


def post_journal(
    database: Database, lane: str, epoch: int, books: Books, stopped: Standstills, *, entries_max: int
) -> int:
    """Post the next entries of one journal; how many there were. Ends early where an entry is missing (see ``audit``),
    where another process posts the same journal, and before one whose effect fails, which goes to ``stopped``; not at
    all while the leases may be missing that it spends from."""
    posted, at_once = 0, CHUNK_ENTRIES
    if recovery.holds_back() or lanes.journal(lane, epoch).state == lanes.UNCONFIRMED:
        return 0
    while posted < entries_max:
        row = lanes.journal(lane, epoch)
        last = min(row.number, row.posted_number + min(at_once, entries_max - posted))
        found = fetch(_PENDING, lane, epoch, row.posted_number + 1, last)
        if [number for number, _ in found] != list(range(row.posted_number + 1, last + 1)) or not found:
            break
        try:
            with grouped(database):
                _post(database, row, found, books)
        except _Overtaken:
            break
        except Exception as error:
            if is_passing(error):
                raise
            if last > row.posted_number + 1:
                at_once = 1  # what is before the one that fails takes effect
                continue
            stopped.note(lane, epoch, last, error)
            break
        posted += len(found)
    return posted


def _post(database: Database, row: Journal, found: Iterable[tuple[int, bytes]], books: Books) -> None:
    for run in _runs(_opened(found)):
        for each in run:
            if each.elsewhere and each.key is not None:
                transact(database, partial(_release, each.key), redoable=True)
        transact(database, partial(_post_run, row.lane, row.epoch, run, books), redoable=True)


def _opened(found: Iterable[tuple[int, bytes]]) -> Iterator[_Pending]:
    entries = [(number, _entry(data)) for number, data in found]
    known = _known({key for _, entry in entries if entry and (key := attempt_of(entry))})
    of_sale = {key: account for key, (account, _) in known.items()}
    for number, entry in entries:
        yield _pending(number, entry, known, of_sale) if entry else _Pending(number, None)


def _entry(data: bytes) -> Entry | None:
    try:
        return open_entry(bytes(data)).entry
    except JournalError:
        return None


def _known(keys: Iterable[Attempt]) -> _Money:
    asked = list(keys)
    found = fetch_all([(_MONEY, (key.lane, key.lender, key.sale_id, key.attempt)) for key in asked])
    return {
        key: (None if rows[0][0] is None else bytes(rows[0][0]), rows[0][1] > 0)
        for key, rows in zip(asked, found, strict=True)
        if rows
    }


def _pending(number: int, entry: Entry, known: _Money, of_sale: dict[Attempt, bytes | None]) -> _Pending:
    """The account of an entry: its own, or that of the sale which it goes on with."""
    key, account = attempt_of(entry), account_of(entry)
    if key is None:
        return _Pending(number, entry, None, account)
    if account is None:
        return _Pending(number, entry, key, of_sale.get(key))
    of_sale[key] = account
    held, is_online = known.get(key, (None, False))
    return _Pending(number, entry, key, account, is_online and held != account and decides(entry))


def _runs(pending: Iterable[_Pending]) -> Iterator[list[_Pending]]:
    """Neighbours of one account, and with them what concerns none."""
    run: list[_Pending] = []
    account: tuple[str | None, bytes] | None = None
    for each in pending:
        own = (each.entry.lender, each.account) if each.entry and each.account is not None else None
        if own is not None and account is not None and own != account:
            yield run
            run, account = [], None
        run.append(each)
        account = account or own
    if run:
        yield run


def _release(key: Attempt) -> None:
    holds.undo_online(holds.find(key))


def _post_run(lane: str, epoch: int, run: list[_Pending], books: Books) -> None:
    first, last = run[0].number, run[-1].number
    with on_page(_questions(lane, epoch, run, books)) as page:
        row = lanes.journal(lane, epoch)
        if row.posted_number != first - 1:
            raise _Overtaken
        results = [(each, _effect(each.entry, books) if each.entry else postings.MALFORMED) for each in run]
        results = _sworn(lane, epoch, results, books)
        page.update(_ACCEPTED, _ACCEPTED, lambda: ("accepted", lane, epoch, first, last))
        for each, result in results:
            if result.reason is not None:
                aside = (result.result, result.reason, lane, epoch, each.number)
                page.update((_SET_ASIDE, each.number), _SET_ASIDE, partial(tuple, aside))
                disputes.record(lane, epoch, each.number, each.entry, result)
        page.update(_POSTED, _POSTED, lambda: (last, lane, epoch, first - 1), exactly=1)


_Results = list[tuple[_Pending, Result]]


def _sworn(lane: str, epoch: int, results: _Results, books: Books) -> _Results:
    """Keep what each lender's entries swear to (lease rule 1): it frees leases of that lender alone. One that swears to
    less than an entry before it has its effect, and people see it: the lane has forgotten which leases are over."""
    known = {lender: _horizon_of(lane, epoch, lender) for lender in _lenders_of([each for each, _ in results], books)}
    told, judged = dict(known), _Results()
    for each, result in results:
        lender, said_s = (each.entry.lender or "", each.entry.lease_horizon) if each.entry else ("", 0)
        is_lowered = said_s < told.get(lender, 0) and result.reason is None
        judged.append((each, Result("disputed", "horizon_lowered", each.account) if is_lowered else result))
        if lender in told:
            told[lender] = max(told[lender], said_s)
    for lender, horizon_s in told.items():
        if horizon_s != known[lender]:
            put(Horizon, _SWEAR, {"lane": lane, "epoch": epoch, "lender": lender, "lease_horizon": horizon_s})
    return judged


def _horizon_of(lane: str, epoch: int, lender: str) -> int:
    row = load(Horizon, HORIZON, lane, epoch, lender)
    return row.lease_horizon if row is not None else 0


def _lenders_of(run: Iterable[_Pending], books: Books) -> set[str]:
    named = {each.entry.lender for each in run if each.entry and each.entry.lender}
    return {lender for lender in named if lender in books.lenders}


def _questions(lane: str, epoch: int, run: list[_Pending], books: Books) -> Iterator[tuple[Statement, tuple[Any, ...]]]:
    """What the effects of a run will ask, as far as it can be told before."""
    yield lanes.JOURNAL, (lane, epoch)
    yield places.question(lane)
    for lender in _lenders_of(run, books):
        yield HORIZON, (lane, epoch, lender)
    for each in run:
        key, entry = each.key, each.entry
        if key is None or entry is None or key.lender in WALLETS:
            continue
        yield holds.FIND, (key.lane, key.lender, key.sale_id, key.attempt)
        if each.account is not None:
            yield accounts.FIND, (each.account, key.lender)
        if decides(entry) and each.account is not None:
            yield holds.OTHERS, (key.lane, key.lender, key.sale_id, key.attempt)
            yield from allowances.questions(key.lender, each.account)
            if cti := proof_of(entry):
                yield authorizations.FIND_PROOF, (each.account, key.lender, cti)


def _effect(entry: Entry, books: Books) -> Result:
    if entry.lender in WALLETS:
        with off_page():
            return wallet_postings.post(entry, books.now_s)
    with off_page() if entry.kind in _ALONE else nullcontext():
        return postings.post(entry, books)
