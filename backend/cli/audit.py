"""``audit``: whether the books keep what they promise; beside a running server too."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_verb
from backend.cli.output import show


def add_parser(verbs: Any) -> None:
    add_verb(
        verbs, "audit", run, "check limits, holds and chains; list what people must look at; 1 for a broken promise"
    )


def run(args: argparse.Namespace) -> int:
    answer = ask(args, "audit")
    show(args, answer)
    if not (answer["findings"] or answer["disputes"] or args.json):
        print("every limit, hold and chain is as it should be")
    return 1 if answer["findings"] else 0
