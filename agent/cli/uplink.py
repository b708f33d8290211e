"""`counterfoil uplink`: the process that talks to the backend."""

import argparse
from typing import Any

from agent.cli.options import add_config, load_config


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("uplink", help="run the connection to the backend (systemd does)")
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from agent import logs, uplink_app

    logs.configure()
    return uplink_app.uplink(load_config(args))
