"""`counterfoil token`: the token by which POS software asks over HTTP on this computer.

The rule: it is read where POS software reads it; a new one is good, and the old one ended, when the agent is restarted.
"""

from __future__ import annotations

import argparse
from typing import Any

from agent.cli.options import add_config, add_json, load_config, show


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("token", help="the token of POS software for the local API over HTTP")
    parser.add_argument("--new", action="store_true", help="make a new one; the old one ends with the next restart")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Raises ConfigError, HttpNotServed, OSError."""
    from agent.app import new_http_secret
    from agent.errors import HttpNotServed

    config = load_config(args)
    if args.new:
        new_http_secret(config)
        said = "A new token is made. Restart the agent, then give it to the POS software."
        if args.json:
            show({"new": True, "next": said})
        else:
            print(said)
        return 0
    try:
        token = config.lane.pos_token_file.read_text().strip()
    except FileNotFoundError:
        raise HttpNotServed from None
    if args.json:
        show({"token": token, "url": f"http://127.0.0.1:{config.local.port}"})
    else:
        print(token)
    return 0
