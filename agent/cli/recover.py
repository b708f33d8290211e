"""`counterfoil recover`: a lane whose ledger was put back from a backup begins a new epoch, when a person says so."""

import argparse
import sys
from typing import Any, Final

from agent.cli.options import add_config, add_json, client, show

HEADS: Final = """This ledger is an old copy, or the other of two: entries that this lane recorded are not in it.
  here:     epoch {epoch}, entry {number}, {head:.16}
  backend:  {theirs}
A new epoch keeps everything that is recorded here and sends it; the backend sets aside what it has otherwise, for
people to look at. Leases of the old epoch are not spent any more. The lane stands in again with the next snapshot.
The batch that is open now ends with the epoch; where it differs from the backend's half, people settle it there.
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("recover", help="begin a new epoch after an old ledger was put back")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit code 0: a new epoch has begun, 3: nobody agreed to it."""
    agent = client(args)
    heads = agent.get("/v1/recovery")
    if not args.json:
        print(HEADS.format(**heads, theirs=_theirs(heads)))
    if not args.yes and not _agreed():
        print("Nothing was changed. Run it again with --yes, or answer yes.", file=sys.stderr)
        return 3
    begun = agent.post("/v1/recovery", {})
    if args.json:
        show({"before": heads, "begun": begun})
    else:
        print(f"Epoch {begun['epoch']} has begun. The lane stands in again with the next snapshot: counterfoil status")
    return 0


def _theirs(heads: dict[str, Any]) -> str:
    if heads["backend_number"] is None:
        return "not asked; the lane saw by itself that entries are missing"
    return f"epoch {heads['epoch']}, at least entry {heads['backend_number']} {heads['backend_head']:.16}".rstrip()


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    return input("Begin a new epoch? Type yes: ").strip().lower() == "yes"
