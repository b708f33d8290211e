"""``lender add|merchants|list``: who gives credit here."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_group, add_verb
from backend.cli.output import show, show_table


def add_parser(verbs: Any) -> None:
    group = add_group(verbs, "lender", "who gives credit here")
    add = add_verb(group, "add", _add, "a further lender, with keys, policy and books of its own")
    add.add_argument("lender", metavar="LENDER", help="lender id, at most 16 characters")
    add.add_argument("--lender-name", required=True, metavar="NAME", help="as customers know it")
    add.add_argument("--currency", default="CNY")
    add.add_argument("--merchant", action="append", help="of whose lanes only (may be repeated; default: every lane)")
    serve = add_verb(group, "merchants", _merchants, "whose lanes the lender serves from now on")
    serve.add_argument("lender", metavar="LENDER")
    serve.add_argument("merchants", nargs="*", metavar="MERCHANT", help="none: every merchant's")
    add_verb(group, "list", _list, "every lender, and what its accounts come to")


def _add(args: argparse.Namespace) -> int:
    given = {"lender": args.lender, "name": args.lender_name, "currency": args.currency, "merchants": args.merchant}
    show(args, ask(args, "lender.add", **given))
    return 0


def _merchants(args: argparse.Namespace) -> int:
    show(args, ask(args, "lender.merchants", lender=args.lender, merchants=args.merchants))
    return 0


def _list(args: argparse.Namespace) -> int:
    show_table(args, ask(args, "lender.list"), "lenders", "there is no lender")
    return 0
