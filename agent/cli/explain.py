"""`counterfoil explain`: why a sale was approved or declined, decided again from its own record."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from agent.cli.options import add_config, add_json, client, load_config, show
from agent.texts import LANGUAGES

SAME, ALARM, NOT_ALL = 0, 1, 3


def add_parser(subparsers: Any) -> None:
    text = "why a sale was approved or declined: every rule with its values, decided again from the journal"
    parser = subparsers.add_parser("explain", help=text, description=f"{text}. Works while the agent is stopped, too.")
    parser.add_argument("sale_id")
    parser.add_argument("--language", choices=LANGUAGES, help="default: the lane's")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: every decision follows from its record, 1: one does not, 3: one could not be decided again."""
    from agent.cli.explained import lines
    from agent.core.sale_story import ALARM as DIFFERENT
    from agent.core.sale_story import GAPS, replays

    told, lane = _told(args), load_config(args).lane
    if args.json:
        show(told)
    else:
        print("\n".join(lines(told, args.language or lane.language, lane.timezone)))
    found = replays(told["attempts"])
    return ALARM if DIFFERENT in found else NOT_ALL if found & GAPS else SAME


def _told(args: argparse.Namespace) -> dict[str, Any]:
    """By the running agent, or from the file itself while it is stopped. Raises SaleUnknown and ledger faults."""
    from agent.errors import AgentNotRunning, SaleUnknown

    try:
        told: dict[str, Any] | None = client(args).get(f"/v1/sales/{quote(args.sale_id, safe='')}/explanation")
    except AgentNotRunning:
        from agent import app

        told = app.explained(load_config(args), args.sale_id)
    if told is None:
        raise SaleUnknown(f"The journal of this lane has no sale {args.sale_id}.")
    return told
