"""``lanes``: every lane's journals, how far they have come, and when their devices were last heard."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_verb
from backend.cli.output import show_table


def add_parser(verbs: Any) -> None:
    add_verb(verbs, "lanes", run, "where the journal of every lane stands")


def run(args: argparse.Namespace) -> int:
    show_table(args, ask(args, "lane.list"), "lanes", "no lane is enrolled; make a code with: enroll-code --lane NAME")
    return 0
