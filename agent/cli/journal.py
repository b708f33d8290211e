"""`counterfoil journal`: check the chain of this lane's journal, or look at its last entries."""

from __future__ import annotations

import argparse
from typing import Any

from agent.cli.options import add_config, add_json, client, load_config, show


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("journal", help="check the chain of the journal, or look at its last entries")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    verify = verbs.add_parser("verify", help="walk the chain; with the agent stopped, rebuild what follows from it too")
    verify.set_defaults(run=_verify)
    tail = verbs.add_parser("tail", help="the last entries (while the agent is stopped)")
    tail.add_argument("--count", type=int, default=10, metavar="N")
    tail.set_defaults(run=_tail)
    for verb in (verify, tail):
        add_config(verb)
        add_json(verb)


def _verify(args: argparse.Namespace) -> int:
    """By the running agent, or on the file itself while it is stopped."""
    from agent.errors import AgentNotRunning

    try:
        found = client(args).post("/v1/journal/verification")
        by = "the running agent"
    except AgentNotRunning:
        from agent import app

        with app.open_offline(load_config(args)) as ledger:
            found = app.verified(ledger)
        by = "this command, on the file: the agent is stopped"
    if args.json:
        show(found)
    else:
        print(f"The chain of epoch {found['epoch']} is whole: {found['number']} entries, head {found['head'][:16]}.")
        print(f"Checked by {by}.")
    return 0


def _tail(args: argparse.Namespace) -> int:
    from agent import app

    with app.open_offline(load_config(args)) as ledger:
        head = ledger.head
        entries = ledger.entries_after(head.epoch, max(0, head.number - args.count), args.count)
    rows = [
        {"number": e.number, "kind": e.kind, "recorded_at": e.recorded_at, "sale_id": e.sale_id, "attempt": e.attempt}
        for e in (sealed.entry for sealed in entries)
    ]
    if args.json:
        show(rows)
    else:
        for row in rows:
            print(f"{row['number']:>8}  {row['recorded_at']}  {row['kind']:<18} {row['sale_id'] or ''}")
    return 0
