"""``exceptions``: what people must look at, and what they made of it."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_group, add_verb
from backend.cli.output import show, show_table


def add_parser(verbs: Any) -> None:
    into = add_group(verbs, "exceptions", "entries that people must look at")
    listing = add_verb(into, "list", run_list, "the exceptions that nobody has resolved")
    listing.add_argument("--lane", help="of this lane only")
    listing.add_argument("--all", action="store_true", help="the resolved ones too")
    listing.add_argument("--limit", type=int, help="at most so many")
    resolving = add_verb(into, "resolve", run_resolve, "say what came of one; no money moves by it")
    resolving.add_argument("lane", metavar="LANE")
    resolving.add_argument("entry", type=entry_of, metavar="EPOCH/NUMBER")
    resolving.add_argument("--note", required=True, help="what was done")


def run_list(args: argparse.Namespace) -> int:
    answer = ask(args, "exception.list", lane=args.lane, resolved=args.all, limit=args.limit)
    show_table(args, answer, "exceptions", "nobody needs to look at anything")
    left = answer["total"] - len(answer["exceptions"])
    if left and not args.json:
        print(f"and {left} more: --limit")
    return 0


def run_resolve(args: argparse.Namespace) -> int:
    epoch, number = args.entry
    show(args, ask(args, "exception.resolve", lane=args.lane, epoch=epoch, number=number, note=args.note))
    return 0


def entry_of(text: str) -> tuple[int, int]:
    """An entry on the command line: its epoch and its number."""
    epoch, slash, number = text.replace("-", "/").partition("/")
    if not (slash and epoch.isdecimal() and number.isdecimal()):
        raise argparse.ArgumentTypeError("an entry is its epoch and its number, as in 1/17 (1-17 on a slip)")
    return int(epoch), int(number)
