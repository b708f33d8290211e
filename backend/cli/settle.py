"""``settle``: closed batches, and where the lane's half and this one differ."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_verb
from backend.cli.output import show_table


def add_parser(verbs: Any) -> None:
    parser = add_verb(verbs, "settle", run, "the batches that lanes closed, and their differences")
    parser.add_argument("--lane", help="of this lane only")
    parser.add_argument("--unmatched", action="store_true", help="only those whose halves differ; exit code 1 if any")
    parser.add_argument("--limit", type=int, help="at most so many")


def run(args: argparse.Namespace) -> int:
    answer = ask(args, "settlement.list", lane=args.lane, unmatched=args.unmatched, limit=args.limit)
    empty = "every batch is matched" if answer["total"] else "no lane has closed a batch yet"
    show_table(args, answer, "batches", empty)
    return 1 if args.unmatched and answer["unmatched"] else 0
