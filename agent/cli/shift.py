"""`counterfoil shift open|close|show`: a shift at this lane, its drawer, and what it sold on credit."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from agent.cli.options import acting, add_config, add_json, add_operator, add_printing, client, paper_of, show
from agent.core.money import format_minor
from agent.errors import CounterfoilError

DIFFERS: Final = 4


class WhoseMissing(CounterfoilError):
    """A shift is somebody's."""

    code = "whose_missing"
    hint = "Name whose it is, `counterfoil shift open 12 20000`, or sign in with `--operator NAME`."


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("shift", help="open a shift with its float, close it with a count of the drawer")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    verb = verbs.add_parser("open", help="begin a shift")
    verb.add_argument("whose", nargs="?", help="a number or short name, never a person's (default: who signs in)")
    verb.add_argument("float_minor", type=int, help="what is in the drawer, in minor units (20000 for 200.00)")
    add_printing(verb, again="also of a shift that is open already")
    add_operator(verb)
    _finished(verb, opened)
    verb = verbs.add_parser("close", help="end it; exit code 4: the drawer differs")
    verb.add_argument("counted_minor", type=int, help="what was counted in the drawer, in minor units")
    verb.add_argument("--cash", type=int, default=0, metavar="MINOR", help="what the till took in cash (default: 0)")
    add_printing(verb, again="also of a shift that is closed already")
    add_operator(verb)
    _finished(verb, closed)
    _finished(verbs.add_parser("show", help="the shift that is open, or the last one"), shown)


def _finished(verb: argparse.ArgumentParser, run: Any) -> None:
    add_config(verb)
    add_json(verb)
    verb.set_defaults(run=run)


def opened(args: argparse.Namespace) -> int:
    """Raises WhoseMissing."""
    if not (args.whose or args.signs_in):
        raise WhoseMissing("It is not said whose shift begins.")
    body = {"float_minor": args.float_minor, "print": paper_of(args)} | ({"operator": args.whose} if args.whose else {})
    with acting(args) as agent:
        return _told(args, agent.post("/v1/shift/opening", body))


def closed(args: argparse.Namespace) -> int:
    body = {"counted_minor": args.counted_minor, "cash_minor": args.cash, "print": paper_of(args)}
    with acting(args) as agent:
        return _told(args, agent.post("/v1/shift/closing", body))


def shown(args: argparse.Namespace) -> int:
    return _told(args, client(args).get("/v1/shift"))


def _told(args: argparse.Namespace, shift: dict[str, Any]) -> int:
    if args.json:
        show(shift)
    else:
        print("\n".join(_screen(shift)))
    return DIFFERS if shift["difference_minor"] else 0


def _screen(shift: dict[str, Any]) -> Iterator[str]:
    def money(name: str) -> str:
        return format_minor(shift[name], shift["currency"])

    yield f"Shift {shift['number']} of {shift['operator']}, {shift['state']}: since {_at(shift['opened_at'])}"
    yield f"  float       {money('float_minor'):>14}"
    if shift["state"] == "closed":
        yield f"  cash taken  {money('cash_minor'):>14}"
        yield f"  expected    {money('expected_minor'):>14}"
        yield f"  counted     {money('counted_minor'):>14}"
        yield f"  difference  {money('difference_minor'):>14}"
        yield f"  closed {_at(shift['closed_at'])}"
    if shift.get("print_job") is not None:
        yield f"  its paper goes to the printer (job {shift['print_job']})"
    for lender in shift["lenders"]:
        totals = lender["totals"]
        said = ", ".join(f"{total['count']} {name}" for name, total in totals.items() if total["count"])
        captured = format_minor(totals["captured"]["minor"], shift["currency"])
        yield f"  on credit of {lender['lender']}: {captured} ({said})"


def _at(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC).astimezone():%Y-%m-%d %H:%M}"
