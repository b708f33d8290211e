"""``lease recall``: ask lanes to give leases back before they lapse."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_group, add_lender, add_verb, token
from backend.cli.output import show_json


def add_parser(verbs: Any) -> None:
    parser = add_verb(add_group(verbs, "lease", "leases"), "recall", run, "ask lanes to give leases back")
    parser.add_argument("--account", type=token, metavar="HEX", help="of this account only")
    parser.add_argument("--lane", help="at this lane only")
    parser.add_argument("--reason", required=True, help="why, as the lane is told")
    parser.add_argument("--hold-s", type=int, default=0, help="grant nothing in their place for so long")
    add_lender(parser)


def run(args: argparse.Namespace) -> int:
    given = {name: getattr(args, name) for name in ("account", "lane", "reason", "hold_s", "lender")}
    answer = ask(args, "lease.recall", **given)
    if args.json:
        show_json(answer)
    elif answer["asked"]:
        print(f"asked: {', '.join(answer['asked'])}; it is free when their journals say so, see: leases")
    else:
        print("nothing is outstanding there, or it is asked for already")
    return 0
