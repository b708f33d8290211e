"""``population import``: accounts with a history of visits, of people who never lived."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_group, add_lender, add_verb
from backend.cli.output import show

_COUNTS = (
    ("accounts", 1_000, "how many accounts"),
    ("lanes", 24, "lanes of all stores together"),
    ("stores", 6, "how many stores"),
    ("days", 56, "length of the history"),
    ("seed", 1, "the same seed gives the same people"),
)


def add_parser(verbs: Any) -> None:
    into = add_group(verbs, "population", "people who never lived")
    parser = add_verb(into, "import", run, "open accounts with a history of visits; run again, it adds what is missing")
    for name, default, about in _COUNTS:
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{about} (default: {default})")
    parser.add_argument("--until", metavar="YYYY-MM-DD", help="the day after the last visit (default: today)")
    parser.add_argument("--merchant", default="merchant-1", help="whose stores they are (default: merchant-1)")
    add_lender(parser)


def run(args: argparse.Namespace) -> int:
    counts = {name: getattr(args, name) for name, *_ in _COUNTS}
    show(args, ask(args, "population.import", until=args.until, lender=args.lender, merchant=args.merchant, **counts))
    return 0
