"""`counterfoil insights`: what a day's credit sales came to, as bars on one screen, as a table, or as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from agent.cli.options import add_config, add_json, client, show
from agent.core.insights import to_csv
from agent.core.money import format_minor

BAR_COLUMNS: Final = 30
UNTOLD: Final = "not told: the POS may, by POST /v1/other-tenders"


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("insights", help="a day's sales by hour, plan and reason; the average basket")
    parser.add_argument("--day", metavar="YYYY-MM-DD", help="which day of the store (default: today)")
    parser.add_argument("--csv", action="store_true", help="one table for a spreadsheet")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    day = client(args).get("/v1/insights" + (f"?day={quote(args.day, safe='')}" if args.day else ""))
    if args.json:
        show(day)
    elif args.csv:
        print(to_csv(day), end="")
    else:
        print("\n".join(_screen(day)))
    return 0


def _screen(day: dict[str, Any]) -> Iterator[str]:
    currency = day["currency"]
    asked = day["approved"]["count"] + day["declined"]["count"]
    yield f"{day['day']} ({day['timezone']}){'' if day['is_over'] else ', so far'}"
    approved = _share(day["approved"]["count"], asked)
    yield f"  approved     {_total(day['approved'], currency)}  {approved} of {asked} asked"
    yield f"  offline      {_total(day['offline'], currency)}  {_of_approved(day, 'offline')}"
    yield f"  with coupon  {_total(day['with_coupon'], currency)}  {_of_approved(day, 'with_coupon')}"
    yield f"  declined     {_total(day['declined'], currency)}"
    yield f"  undone       {_total(day['undone'], currency)}"
    yield f"  refunded     {_total(day['refunded'], currency)}"
    yield "Average basket:"
    for tender, name in (("credit", "with credit"), ("other", "without")):
        yield f"  {name:<12} {_basket(day['basket'][tender], currency)}"
    yield from _hours(day["hours"], currency)
    yield from _plans(day["plans"], currency)
    yield from _reasons(day["reasons"])


def _total(total: dict[str, int], currency: str) -> str:
    return f"{total['count']:>5}  {format_minor(total['minor'], currency):>14}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part // whole} %" if whole else "-"


def _of_approved(day: dict[str, Any], name: str) -> str:
    return f"{_share(day[name]['count'], day['approved']['count'])} of the approved"


def _basket(basket: dict[str, Any] | None, currency: str) -> str:
    if basket is None:
        return UNTOLD
    if basket["average_minor"] is None:
        return "no sale"
    return f"{format_minor(basket['average_minor'], currency)} of {basket['count']}"


def _hours(hours: list[dict[str, Any]], currency: str) -> Iterator[str]:
    busy = [row["hour"] for row in hours if row["approved"]["count"] + row["declined"]["count"]]
    if not busy:
        return
    yield "By hour (# approved, - declined):"
    most = max(row["approved"]["count"] + row["declined"]["count"] for row in hours)
    for row in hours[busy[0] : busy[-1] + 1]:
        approved, declined = row["approved"]["count"], row["declined"]["count"]
        bar = "#" * _columns(approved, most) + "-" * _columns(declined, most)
        yield f"  {row['hour']:02}  {bar:<{BAR_COLUMNS}} {_total(row['approved'], currency)}"


def _columns(count: int, most: int) -> int:
    """A bar for ``count``; what is there is never invisible."""
    return max(count * BAR_COLUMNS // most, 1) if count else 0


def _plans(plans: list[dict[str, Any]], currency: str) -> Iterator[str]:
    if plans:
        yield "By plan:"
    for row in plans:
        yield f"  {row['plan'] or 'no instalments':<20} {_total(row['approved'], currency)}"


def _reasons(reasons: list[dict[str, Any]]) -> Iterator[str]:
    if reasons:
        yield "Why:"
    for row in reasons:
        yield f"  {row['count']:>5}  {row['outcome']:<9} {row['response_code']}  {row['reason']}: {row['text']}"
