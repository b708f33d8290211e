"""``coupon issue``: an interest-free coupon for an account, as the text of a code.

The one rule: the text alone goes to stdout, so that it can be piped on.
"""

from __future__ import annotations

import argparse
from typing import Any

from agent.core.money import MINOR_MAX
from backend.cli.backend_of import ask
from backend.cli.options import add_account, add_group, add_lender, add_verb
from backend.cli.output import show_json


def add_parser(verbs: Any) -> None:
    parser = add_verb(add_group(verbs, "coupon", "interest-free coupons"), "issue", run, "sign a coupon for an account")
    add_account(parser)
    parser.add_argument("--plan", dest="plans", action="append", metavar="ID", help="for this plan (default: for all)")
    parser.add_argument("--days", type=int, default=30, help="how long it is valid (default: 30)")
    parser.add_argument("--amount-max-minor", type=int, default=MINOR_MAX, help="for sales up to this amount")
    parser.add_argument("--borne-by", choices=["lender", "merchant"], default="merchant", help="who bears the fee")
    add_lender(parser)


def run(args: argparse.Namespace) -> int:
    given = {name: getattr(args, name) for name in ("lender", "plans", "days", "amount_max_minor", "borne_by")}
    answer = ask(args, "coupon.issue", account=args.account, **given)
    if args.json:
        show_json(answer)
    else:
        print(answer["coupon"])
    return 0
