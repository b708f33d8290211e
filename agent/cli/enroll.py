"""`counterfoil enroll`: a one-time code makes this computer a lane, or, with `--replace`, makes it one anew."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from agent.cli.options import add_config, add_json, load_config, show

if TYPE_CHECKING:
    from agent.config import Config


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("enroll", help="make this computer a lane, with a one-time code of the backend")
    add_config(parser)
    add_json(parser)
    parser.add_argument("--backend", metavar="URL", help="address of the backend (default: backend.url of the file)")
    parser.add_argument("--code", required=True, help="the one-time code")
    parser.add_argument(
        "--replace", action="store_true", help="this computer is a lane already: keep its ledger and keys aside"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from agent import uplink_app

    config = load_config(args)
    unsent = _unsent(config) if args.replace else None
    url = args.backend or config.backend.url
    was = uplink_app.is_enrolled(config) and not args.replace
    enrolled, kept = uplink_app.enroll(config, url, args.code, replace=args.replace)
    lenders = [lender.lender for lender in enrolled.lenders]
    if args.json:
        told = {"lane": enrolled.lane, "store": enrolled.store, "merchant": enrolled.merchant, "lenders": lenders}
        life = {"epoch": enrolled.epoch, "kept": str(kept) if kept else None, "unsent": unsent}
        show({**told, **life, "enrolled_before": was})
        return 0
    who = f"lane {enrolled.lane} of store {enrolled.store} ({enrolled.merchant_name})"
    print(f"This is {who} already, by this same code; nothing was changed." if was else f"This is now {who}.")
    if kept:
        print(f"What it was before is kept in {kept}.")
    if kept and unsent:
        print(f"{unsent} records in there never reached the backend: tell support, they can still be sent.")
    print(f"Lenders: {', '.join(lenders)}. Start the agent: systemctl start counterfoil counterfoil-uplink")
    return 0


def _unsent(config: "Config") -> int | None:
    """How many records of the lane that is replaced the backend lacks; None: nobody can tell.

    Raises LedgerInUse while the agent runs: what it sells meanwhile would be lost from sight.
    """
    from agent import app
    from agent.errors import CounterfoilError, LedgerInUse

    try:
        return app.unsent(config)
    except LedgerInUse:
        raise
    except CounterfoilError as fault:
        print(f"The old ledger cannot be read: {fault.message}", file=sys.stderr)
        return None
