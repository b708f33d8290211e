"""``lane``: one lane, its sales, and what becomes of its device."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_group, add_verb
from backend.cli.output import show


def add_parser(verbs: Any) -> None:
    into = add_group(verbs, "lane", "one lane")
    showing = add_verb(into, "show", run_show, "where a lane's journal ends here, and its sales")
    for parser in (showing,):
        parser.add_argument("lane", metavar="LANE")


def run_show(args: argparse.Namespace) -> int:
    show(args, ask(args, "lane.show", lane=args.lane))
    return 0
