"""``init``: a new backend in a directory of its own.

The one rule: private keys are written with mode 0600 from their first moment, and nothing is ever overwritten.
"""

from __future__ import annotations

import argparse
import secrets
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from backend import demo_data, lenders
from backend.admin.operation import Refused
from backend.cli.files import DATABASE_NOTE, write_private
from backend.cli.options import add_verb
from backend.cli.output import show
from backend.database import open_database, transaction
from backend.identity import Authority


def add_parser(verbs: Any) -> None:
    parser = add_verb(verbs, "init", run, "make a backend with one lender in an empty directory")
    parser.add_argument("--lender", default=demo_data.DEMO_LENDER, help="lender id")
    parser.add_argument("--lender-name", default=demo_data.DEMO_NAME)
    parser.add_argument("--currency", default="CNY")
    parser.add_argument(
        "--training", action="store_true", help="its lenders lend play money, to training counters alone"
    )
    parser.add_argument(
        "--name", action="append", default=["localhost", "127.0.0.1", "::1"], help="host name or address"
    )


def run(args: argparse.Namespace) -> int:
    directory, now_s = args.dir, int(time.time())
    if (directory / "ca.key").exists() or (directory / "backend.db").exists():
        raise Refused(f"{directory} holds a backend already")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(open_database(args.database or str(directory / "backend.db"))) as database, transaction(database):
        lenders.create(
            args.lender, args.lender_name, args.currency,
            now_s=now_s, randomness=secrets.token_bytes, is_training=args.training,
        )  # fmt: skip
    if args.database:
        write_private(directory / DATABASE_NOTE, args.database.encode())
    _write_identity(directory, args.name, now_s)
    show(args, {"directory": str(directory), "lender": args.lender})
    return 0


def _write_identity(directory: Path, names: Sequence[str], now_s: int) -> None:
    """The backend's own CA and its server certificate."""
    authority = Authority.create(now_s)
    server_key, server_certificate = authority.issue_server(names, now_s)
    (directory / "ca.crt").write_bytes(authority.certificate_pem)
    (directory / "server.crt").write_bytes(server_certificate)
    for name, data in (("server.key", server_key), ("ca.key", authority.key_pem)):
        write_private(directory / name, data)
