"""``lender add|list``: who gives credit here."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_group, add_verb
from backend.cli.output import show


def add_parser(verbs: Any) -> None:
    group = add_group(verbs, "lender", "who gives credit here")
    add = add_verb(group, "add", _add, "a further lender, with keys, policy and books of its own")
    add.add_argument("lender", metavar="LENDER", help="lender id, at most 16 characters")
    add.add_argument("--lender-name", required=True, metavar="NAME", help="as customers know it")
    add.add_argument("--currency", default="CNY")
    add_verb(group, "list", _list, "every lender, and what its accounts come to")


def _add(args: argparse.Namespace) -> int:
    show(args, ask(args, "lender.add", lender=args.lender, name=args.lender_name, currency=args.currency))
    return 0


def _list(args: argparse.Namespace) -> int:
    show(args, ask(args, "lender.list"))
    return 0
