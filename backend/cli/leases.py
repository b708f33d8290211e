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
    parser.add_argument("--summary", action="store_true", help="credit tied up, and turnover that leases would cover")
    parser.add_argument("--days", type=int, help="turnover of so many days, for the summary (default: 7)")
    add_lender(parser)


def run(args: argparse.Namespace) -> int:
    if args.summary:
        return _summary(args)
    given = {name: getattr(args, name) for name in ("account", "lane", "limit", "lender")}
    answer = ask(args, "lease.list", **given)
    if args.json:
        show_json(answer)
        return 0
    for lease in answer["leases"]:
        print(
            f"{lease['lender']} {lease['account']} at {lease['lane']}, epoch {lease['epoch']}: "
            f"{lease['outstanding_minor']} minor of {lease['granted_minor']}, until {lease['valid_until']}"
        )
        print(f"  because {lease['why']}")
        print(f"  released by {lease['released_by']}")
    if not answer["leases"]:
        print("nothing is outstanding")
    elif not answer["complete"]:
        print("and more: --limit")
    return 0


def _summary(args: argparse.Namespace) -> int:
    answer = ask(args, "lease.summary", days=args.days, lender=args.lender)
    if args.json:
        show_json(answer)
        return 0
    print(
        f"credit tied up: {answer['tied_up_minor']:,} minor of {answer['limits_minor']:,}, "
        f"{_share(answer['tied_up_percent'])}, of {answer['accounts']:,} accounts"
    )
    for who, of in (("everybody", ""), ("regulars of the lane", "regulars_")):
        print(
            f"turnover of {answer['days']} days that a lease would cover now, {who}: "
            f"{answer[f'{of}covered_minor']:,} minor of {answer[f'{of}turnover_minor']:,}, "
            f"{_share(answer[f'{of}covered_percent'])}"
        )
    return 0


def _share(percent: str | None) -> str:
    return "-" if percent is None else f"{percent} %"
