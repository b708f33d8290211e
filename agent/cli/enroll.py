"""`counterfoil enroll`: a one-time code makes this computer a lane."""

import argparse
from typing import Any

from agent.cli.options import add_config, add_json, load_config, show


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("enroll", help="make this computer a lane, with a one-time code of the backend")
    add_config(parser)
    add_json(parser)
    parser.add_argument("--backend", metavar="URL", help="address of the backend (default: backend.url of the file)")
    parser.add_argument("--code", required=True, help="the one-time code")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from agent import uplink_app

    config = load_config(args)
    enrolled = uplink_app.enroll(config, args.backend or config.backend.url, args.code)
    lenders = [lender.lender for lender in enrolled.lenders]
    if args.json:
        show({"lane": enrolled.lane, "store": enrolled.store, "merchant": enrolled.merchant, "lenders": lenders})
    else:
        print(f"This is now lane {enrolled.lane} of store {enrolled.store} ({enrolled.merchant_name}).")
        print(f"Lenders: {', '.join(lenders)}. Start the agent: systemctl start counterfoil counterfoil-uplink")
    return 0
