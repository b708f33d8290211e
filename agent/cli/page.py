"""`counterfoil page`: a link that opens the cashier's page, or the customer's display, in a browser of this computer.

The rule: a link is good once and for minutes, so it is asked for whenever a browser starts; what it opens stays open.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from agent.cli.options import add_config, add_json, client, load_config, show


def add_parser(subparsers: Any) -> None:
    text = 'a link that opens the cashier\'s page once: chromium --kiosk "$(counterfoil page)"'
    parser = subparsers.add_parser("page", help=text, description=text)
    parser.add_argument("page", choices=("cashier", "customer"), nargs="?", default="cashier")
    parser.add_argument("--wait", type=float, default=0.0, metavar="S", help="so long for an agent that still starts")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Raises ConfigError, HttpNotServed, AgentNotRunning, RequestRefused."""
    from agent.errors import HttpNotServed

    port = load_config(args).local.port
    if not port:
        raise HttpNotServed
    link = _made(args)
    url = f"http://127.0.0.1:{port}{link['path']}"
    if args.json:
        show({"url": url, "valid_s": link["valid_s"]})
    else:
        print(url)
    return 0


def _made(args: argparse.Namespace) -> dict[str, Any]:
    """Raises AgentNotRunning when the wait is over."""
    from agent.errors import AgentNotRunning

    until_s = time.monotonic() + args.wait
    while True:
        try:
            made: dict[str, Any] = client(args).post("/v1/page-links", {"page": args.page})
            return made
        except AgentNotRunning:
            if time.monotonic() >= until_s:
                raise
        time.sleep(1)
