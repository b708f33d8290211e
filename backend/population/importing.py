"""The import of a town into a backend's books.

The one rule: an import is cut into pieces of a few accounts, each all there or not at all; the same import run again
adds what is missing and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from backend import places
from backend.admin.named import chosen_lender
from backend.admin.operation import Progress, Refused, Steps
from backend.compose import Backend
from backend.database import inserting, put_many, rows, transact
from backend.population import town as towns
from backend.population.customers import DAY_S, TIME_ZONE_S, Customer, customer, visits
from backend.population.town import Store
from backend.schema import Account, Visit

PIECE: Final = 200
"""Accounts in one transaction: 20 ms on a small machine, which a lane that waits does not notice."""

ACCOUNTS_MAX: Final = 10_000_000
DAYS_MAX: Final = 3 * 366

_ACCOUNT: Final = inserting(Account)
_VISIT: Final = inserting(Visit)


@dataclass(frozen=True, slots=True)
class History:
    """What is imported: the visits of a town's customers in ``days`` days from ``first_day`` on, for one lender."""

    lender: str
    seed: int
    town: tuple[Store, ...]
    first_day: int
    days: int

    def visits(self, number: int, who: Customer) -> list[tuple[Any, ...]]:
        """Rows of the customer's visits."""
        made = visits(self.seed, number, who, self.town, first_day=self.first_day, days=self.days)
        return [(who.token, self.lender, *visit) for visit in made]


def run(
    backend: Backend,
    *,
    accounts: int,
    lanes: int,
    stores: int,
    days: int,
    seed: int,
    until: str | None = None,
    lender: str | None = None,
    merchant: str = "merchant-1",
) -> Steps:
    """Open ``accounts`` accounts and write their visits of the ``days`` days before ``until`` (YYYY-MM-DD, today).
    The stores are of ``merchant``; those that have no place yet get theirs in the town."""
    if not (0 < accounts <= ACCOUNTS_MAX and 0 < days <= DAYS_MAX):
        raise Refused(f"an import has 1 to {ACCOUNTS_MAX:,} accounts and 1 to {DAYS_MAX} days")
    try:
        town = towns.build(seed, stores=stores, lanes=lanes)
    except ValueError as error:
        raise Refused(f"{error}") from None
    by = chosen_lender(backend, lender).lender
    first_day = _day(until, backend.clock()) - days
    history = History(by, seed, town, first_day, days)
    transact(backend.database, lambda: _place(merchant, town))
    opened = written = 0
    for first in range(0, accounts, PIECE):
        numbers = range(first, min(first + PIECE, accounts))
        new_accounts, new_visits = _write(backend, history, numbers)
        opened, written = opened + new_accounts, written + new_visits
        yield Progress(numbers.stop, accounts, "accounts")
    return {"accounts": opened, "visits": written, "stores": len(town), "lanes": lanes}


def _place(merchant: str, town: Sequence[Store]) -> None:
    placed = {row.store for row in places.every() if row.merchant == merchant}
    for store in town:
        if store.name not in placed:
            places.set_place(merchant, store.name, store.place)


def _write(backend: Backend, history: History, numbers: range) -> tuple[int, int]:
    """How many accounts and visits of these customers were missing; now they are there."""
    lender = history.lender
    people = {number: customer(history.seed, number, history.town) for number in numbers}
    made = [row for number, who in people.items() for row in history.visits(number, who)]

    def work() -> tuple[int, int]:
        tokens = [who.token for who in people.values()]
        mine = Account.select(Account.token).where(Account.lender == lender, Account.token.in_(tokens))
        known = {bytes(token) for (token,) in rows(mine)}
        fresh = [_account(who, lender) for who in people.values() if who.token not in known]
        theirs = Visit.select(Visit.account, Visit.at_s).where(Visit.lender == lender, Visit.account.in_(tokens))
        seen = {(bytes(token), at_s) for token, at_s in rows(theirs)}
        missing = [row for row in made if (row[0], row[2]) not in seen]
        put_many(Account, _ACCOUNT, fresh)
        put_many(Visit, _VISIT, missing)
        return len(fresh), len(missing)

    return transact(backend.database, work)


def _account(who: Customer, lender: str) -> tuple[Any, ...]:
    """A row of a new account, in the schema's order of columns."""
    row = Account(token=who.token, lender=lender, limit_minor=who.limit_minor, tier=who.tier)
    return tuple(row.__data__[name] for name in Account._meta.sorted_field_names)


def _day(until: str | None, now_s: int) -> int:
    """Days since 1970-01-01 in the town's time."""
    if until is None:
        return (now_s + TIME_ZONE_S) // DAY_S
    try:
        return int(datetime.combine(date.fromisoformat(until), datetime.min.time(), UTC).timestamp()) // DAY_S
    except ValueError:
        raise Refused("a date is written YYYY-MM-DD") from None
