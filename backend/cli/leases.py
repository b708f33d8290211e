"""``leases``: what lanes may still spend, why it counts, and what would release it."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_lender, add_verb, token
from backend.cli.output import show_json


def add_parser(verbs: Any) -> None:
    parser = add_verb(verbs, "leases", run, "outstanding leases, and what would release them")
    parser.add_argument("--account", type=token, metavar="HEX", help="of this account only")
    parser.add_argument("--lane", help="at this lane only")
    parser.add_argument("--limit", type=int, help="at most so many")
    add_lender(parser)


def run(args: argparse.Namespace) -> int:
    given = {name: getattr(args, name) for name in ("account", "lane", "limit", "lender")}
    answer = ask(args, "lease.list", **given)
    if args.json:
        show_json(answer)
        return 0
    for lease in answer["leases"]:
        print(
            f"{lease['account']} at {lease['lane']}, epoch {lease['epoch']}: {lease['outstanding_minor']} minor "
            f"of {lease['granted_minor']}, until {lease['valid_until']}"
        )
        print(f"  because {lease['why']}")
        print(f"  released by {lease['released_by']}")
    if not answer["leases"]:
        print("nothing is outstanding")
    elif not answer["complete"]:
        print("and more: --limit")
    return 0
