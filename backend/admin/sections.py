"""The sections of the operators' page, one function each, over the same operations as the command line.

The one rule: a section shows a bounded number of rows and says how many there are, whatever lies in the books.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from peewee import fn

from agent.core.money import format_minor
from backend import lanes as states
from backend.admin.accounts import to_json
from backend.admin.exceptions import every as every_exception
from backend.admin.html import Markup, join, tag
from backend.admin.lanes import every as every_lane
from backend.admin.leases import of_account
from backend.admin.settlements import every as every_batch
from backend.compose import Backend
from backend.database import rows
from backend.schema import Account, LeaseGrant

ROWS_MAX: Final = 50
_STATE_CLASS: Final = {
    states.OPEN: "good",
    states.DRAINING: "warn",
    states.QUARANTINED: "bad",
    states.WRITTEN_OFF: "bad",
    states.QUARANTINED_WRITTEN_OFF: "bad",
}
_BOOKS: Final = ("limit", "used", "held", "outstanding", "available")


_HALVES: Final = {True: tag("span", "match", class_="good"), False: tag("span", "differ", class_="bad")}


class Column(NamedTuple):
    """A column: its head, its cell of a row, and how it is set: number, token, time or nothing."""

    head: str
    cell: Callable[[Mapping[str, Any]], str]
    kind: str = ""


def figures(backend: Backend, lender: str) -> Markup:
    """The lender's books in a line: what is lent, held and used."""
    money = _money(backend, lender)
    mine = Account.lender == lender
    sums = [fn.COALESCE(fn.SUM(each), 0) for each in (Account.limit_minor, Account.used_minor, Account.held_minor)]
    [(count, limit, used, held)] = rows(Account.select(fn.COUNT(Account.token), *sums).where(mine))
    shown = {"accounts": f"{count:,}", "limits": money(int(limit)), "used": money(int(used)), "held": money(int(held))}
    return tag(
        "div", *(tag("div", tag("b", value), tag("span", name)) for name, value in shown.items()), class_="figures"
    )


def lanes(backend: Backend, _lender: str) -> Markup:
    columns = (
        Column("lane", lambda row: row["lane"]),
        Column("store", lambda row: row["store"]),
        Column("state", lambda row: tag("span", row["state"], class_=_STATE_CLASS.get(row["state"], ""))),
        Column("epoch", lambda row: str(row["epoch"]), "number"),
        Column("received", lambda row: str(row["received"]), "number"),
        Column("posted", lambda row: str(row["posted"]), "number"),
        Column(
            "stands still", lambda row: tag("span", _or_dash(row["stopped"]), class_="bad" if row["stopped"] else "")
        ),
        Column("snapshot", lambda row: ", ".join(f"{of} {number}" for of, number in row["installed"].items()) or "–"),
        Column("queue", lambda row: _or_dash(row["queue"]), "number"),
        Column("last heard", lambda row: _or_dash(row["heard_at"]), "time"),
        Column("certificate until", lambda row: _or_dash(row["certificate_until"]), "time"),
        Column("exceptions", lambda row: str(row["exceptions"] or "–"), "number"),
    )
    found = every_lane(backend)["lanes"]
    return _section("Lanes", found, len(found), columns, "no lane is enrolled")


def exceptions(backend: Backend, lender: str) -> Markup:
    money = _money(backend, lender)
    columns = (
        Column("lane", lambda row: row["lane"]),
        Column("entry", lambda row: f"{row['epoch']}/{row['number']}", "number"),
        Column("result", lambda row: row["result"]),
        Column("reason", lambda row: tag("span", row["reason"], class_="warn")),
        Column("borne by", lambda row: row["bearer"]),
        Column("sale", lambda row: row["sale_id"] or "–"),
        Column("amount", lambda row: money(row["amount_minor"]), "number"),
    )
    answer = every_exception(backend, limit=ROWS_MAX)
    return _section("Exceptions", answer["exceptions"], answer["total"], columns, "nobody needs to look at anything")


def settlement(backend: Backend, _lender: str) -> Markup:
    columns = (
        Column("lane", lambda row: row["lane"]),
        Column("lender", lambda row: row["lender"]),
        Column("batch", lambda row: f"{row['epoch']}/{row['batch']}", "number"),
        Column("captured", lambda row: str(row["totals"]["captured"]["count"]), "number"),
        Column("halves", lambda row: _HALVES[row["matched"]]),
        Column("differences", lambda row: "; ".join(row["differences"]) or "–"),
    )
    answer = every_batch(backend, limit=ROWS_MAX)
    return _section("Settlement", answer["batches"], answer["total"], columns, "no lane has closed a batch yet")


def leases(backend: Backend, lender: str) -> Markup:
    money = _money(backend, lender)
    columns = (
        Column("account", lambda row: row["account"], "token"),
        Column("lane", lambda row: row["lane"]),
        Column("outstanding", lambda row: money(row["outstanding_minor"]), "number"),
        Column("until", lambda row: row["valid_until"], "time"),
        Column("why it counts", lambda row: row["why"]),
        Column("released by", lambda row: row["released_by"]),
    )
    of = LeaseGrant.select(LeaseGrant.account).where(LeaseGrant.lender == lender, LeaseGrant.granted_minor > 0)
    tokens = [bytes(token) for (token,) in rows(of.distinct().limit(ROWS_MAX))]
    found = [lease for token in tokens for lease in of_account(lender, token, now_s=backend.clock())]
    return _section("Outstanding leases", found, None, columns, "nothing is outstanding")


def accounts(backend: Backend, lender: str) -> Markup:
    money = _money(backend, lender)
    columns = (
        Column("account", lambda row: row["account"], "token"),
        *(_amount(name, money) for name in _BOOKS),
        Column("blocked", lambda row: tag("span", "blocked", class_="bad") if row["blocked"] else "–"),
    )
    mine = Account.select().where(Account.lender == lender)
    found = [to_json(row) for row in mine.order_by(Account.used_minor.desc()).limit(ROWS_MAX)]
    return _section("Balances", found, mine.count(), columns, "there are no accounts")


def _amount(name: str, money: Callable[[int], str]) -> Column:
    return Column(name, lambda row: money(row[f"{name}_minor"]), "number")


def _section(
    title: str, found: list[dict[str, Any]], total: int | None, columns: tuple[Column, ...], empty: str
) -> Markup:
    shown = found[:ROWS_MAX]
    if not shown:
        return tag("section", tag("h2", title), tag("p", empty, class_="empty"))
    counted = f"the first {len(shown)}" + (f" of {total:,}" if total else "")
    note = tag("span", counted if len(found) > len(shown) or (total or 0) > len(shown) else f"{len(shown)}")
    head = tag("tr", *(tag("th", column.head, class_=column.kind) for column in columns))
    body = join(tag("tr", *(tag("td", column.cell(row), class_=column.kind) for column in columns)) for row in shown)
    return tag("section", tag("h2", title, note), tag("table", tag("thead", head), tag("tbody", body)))


def _or_dash(value: object) -> str:
    return "–" if value is None else str(value)


def _money(backend: Backend, lender: str) -> Callable[[int], str]:
    currency = backend.lenders[lender].currency
    return lambda minor: format_minor(minor, currency)
