"""``pay``: play the lender's app that has scanned the code at a counter.

The one rule: it debits the account that is named, under its limit, like any sale.
"""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_account, add_lender, add_verb
from backend.cli.output import show


def add_parser(verbs: Any) -> None:
    parser = add_verb(verbs, "pay", run, "pay a code that a counter shows, as the lender's app would")
    parser.add_argument("code", metavar="CODE", help="the text of the QR code: 000201…")
    add_account(parser)
    add_lender(parser)


def run(args: argparse.Namespace) -> int:
    show(args, ask(args, "code.pay", code=args.code, account=args.account, lender=args.lender))
    return 0
