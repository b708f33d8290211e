"""`counterfoil run`: the daemon that owns the ledger, the devices and the decision."""

import argparse
from typing import Any

from agent.cli.options import add_config, load_config


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("run", help="run the agent of this lane (systemd does)")
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from agent import app, logs

    logs.configure()
    return app.run(load_config(args))
