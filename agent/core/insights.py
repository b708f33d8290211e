"""Insights: what the owner of a shop wants to know of a day's credit sales, folded from the journal's entries.

The one rule: each approval and each decline counts once in every breakdown, so each of them adds up to the day.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent.core.journal import Entry, Kind
from agent.core.money import format_units
from agent.core.settlement import Total

APPROVED: Final = "approved"
DECLINED: Final = "declined"
OUTCOMES: Final = (APPROVED, DECLINED)
NO_PLAN: Final = ""
HOURS: Final = 24

_ALSO: Final[Mapping[str, str]] = {
    Kind.REVERSAL: "undone",
    Kind.EXPIRY: "undone",
    Kind.VOID: "undone",
    Kind.REFUND: "refunded",
    Kind.REFUND_OUTCOME: "refunded",
}
TOTALS: Final = (APPROVED, DECLINED, "offline", "with_coupon", "undone", "refunded")
"""``offline`` and ``with_coupon`` are those of ``approved`` that the lane decided alone, and that used a coupon up;
``undone`` was reversed, voided, or never captured."""

CSV_HEAD: Final = ("day", "clock", "of", "name", "outcome", "count", "amount", "amount_minor", "currency", "text")
BYTE_ORDER_MARK: Final = "\ufeff"
"""Before the table: without it spreadsheets read Chinese as the encoding of their own computer."""
_FORMULA: Final = tuple("=+-@＝＋－＠\t\r\n")
"""A cell that begins so is run by a spreadsheet; reasons are words of a lender's policy."""


@dataclass(slots=True)
class DayInsights:
    """One day. ``hour_of`` gives the store's hour (0-23) of a UTC second."""

    hour_of: Callable[[int], int]
    totals: dict[str, Total] = field(default_factory=lambda: dict.fromkeys(TOTALS, Total()))
    by: dict[tuple[str, Any, str], Total] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Count one entry of the day; entries that decide or undo nothing change nothing."""
        minor, outcome = entry.body.get("amount_minor", 0), outcome_of(entry)
        if outcome is not None:
            for breakdown, key in _places(entry, self.hour_of(entry.recorded_at)):
                place = (breakdown, key, outcome)
                self.by[place] = self.by.get(place, Total()).plus(minor)
        for name in _totals_of(entry, outcome):
            self.totals[name] = self.totals[name].plus(minor)

    def to_wire(self) -> dict[str, Any]:
        """The totals by name; ``hours`` (24 rows), ``plans``, ``lenders`` and ``reasons``; amounts in minor units."""
        return {name: _wire(total) for name, total in self.totals.items()} | {
            "hours": [{"hour": hour} | self._both("hour", hour) for hour in range(HOURS)],
            "plans": [{"plan": plan or None} | self._both("plan", plan) for plan in self._keys("plan")],
            "lenders": [{"lender": lender} | self._both("lender", lender) for lender in self._keys("lender")],
            "reasons": sorted(self._reasons(), key=lambda row: (row["outcome"], -row["count"], row["reason"])),
            "basket": {"credit": basket(self.totals[APPROVED].count, self.totals[APPROVED].minor)},
        }

    def _keys(self, breakdown: str) -> list[str]:
        return sorted({key for of, key, _ in self.by if of == breakdown})

    def _both(self, breakdown: str, key: Any) -> dict[str, Any]:
        return {outcome: _wire(self.by.get((breakdown, key, outcome), Total())) for outcome in OUTCOMES}

    def _reasons(self) -> Iterator[dict[str, Any]]:
        for (breakdown, key, outcome), total in self.by.items():
            if breakdown == "reason":
                yield {"outcome": outcome, "response_code": key[0], "reason": key[1]} | _wire(total)


def outcome_of(entry: Entry) -> str | None:
    """Whether an entry approves or declines an attempt; None: neither."""
    match entry.kind:
        case Kind.AUTHORIZATION:
            return APPROVED
        case Kind.DECLINE:
            return DECLINED
        case Kind.ONLINE_OUTCOME:
            return APPROVED if entry.body["approved"] else DECLINED
    return None


def _totals_of(entry: Entry, outcome: str | None) -> Iterator[str]:
    if outcome is not None:
        yield outcome
    elif entry.kind in _ALSO and entry.body.get("approved", True):
        yield _ALSO[entry.kind]
    if outcome == APPROVED and entry.kind == Kind.AUTHORIZATION:
        yield "offline"
    if outcome == APPROVED and (entry.body["plan"] or {}).get("coupon"):
        yield "with_coupon"


def _places(entry: Entry, hour: int) -> Iterator[tuple[str, Any]]:
    body = entry.body
    yield "hour", hour
    yield "plan", (body["plan"] or {}).get("id", NO_PLAN)
    yield "lender", entry.lender or ""
    yield "reason", (body["response_code"], body["reason"])


def _wire(total: Total) -> dict[str, int]:
    return {"count": total.count, "minor": total.minor}


def basket(count: int, minor: int) -> dict[str, int | None]:
    """Sales and their average, rounded half up to a minor unit; None where there was no sale."""
    return {"count": count, "minor": minor, "average_minor": (2 * minor + count) // (2 * count) if count else None}


def to_csv(day: Mapping[str, Any]) -> str:
    """The figures of a day, as ``GET /v1/insights`` tells them, as one table (RFC 4180). ``amount`` is in units of the
    currency, ``text`` what a reason means; an hour's offset is that of its beginning, any other that of the day's."""
    out = io.StringIO()
    out.write(BYTE_ORDER_MARK)
    table = csv.writer(out)
    table.writerow(CSV_HEAD)
    for row in _rows(day):
        table.writerow(map(_cell, row))
    return out.getvalue()


def _rows(day: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    offset, currency = day["utc_offset"], day["currency"]

    def row(of: str, name: object, outcome: str, total: Mapping[str, int], **said: str) -> tuple[object, ...]:
        amount = format_units(total["minor"], currency)
        figures = (total["count"], amount, total["minor"], currency)
        clock = f"UTC{said.get('utc_offset', offset)}"
        return (day["day"], clock, of, name, outcome, *figures, said.get("text", ""))

    yield from (row("day", name, "", day[name]) for name in TOTALS)
    for hour in day["hours"]:
        yield from (row("hour", hour["hour"], of, hour[of], utc_offset=hour["utc_offset"]) for of in OUTCOMES)
    for breakdown in ("plan", "lender"):
        for each in day[f"{breakdown}s"]:
            yield from (row(breakdown, each[breakdown] or "", outcome, each[outcome]) for outcome in OUTCOMES)
    yield from (row("reason", each["reason"], each["outcome"], each, text=each["text"]) for each in day["reasons"])
    yield from (row("basket", tender, "", total) for tender, total in day["basket"].items() if total)


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
