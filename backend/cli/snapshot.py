"""``snapshot build``: cut the layers that lanes need now."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_group, add_verb
from backend.cli.output import show
from backend.cli.serve import add_allowance


def add_parser(verbs: Any) -> None:
    into = add_group(verbs, "snapshot", "snapshots of lanes")
    parser = add_verb(
        into, "build", run, "cut the layers that lanes need now; a running server knows its own allowance"
    )
    add_allowance(parser)


def run(args: argparse.Namespace) -> int:
    show(args, ask(args, "snapshot.build"))
    return 0
