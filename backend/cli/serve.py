"""``serve``: answer lanes over mutual TLS, and operators at the socket in the directory.

The one rule: lanes and operators are served by one process and one loop, so that the database has one user.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.admin.operation import Refused
from backend.cli.backend_of import opened
from backend.cli.options import add_verb, add_wallets
from backend.cli.planner import add_rules
from backend.compose import Backend

DEFAULT_ALLOWANCE_MINOR = 20_000


def add_parser(verbs: Any) -> None:
    parser = add_verb(verbs, "serve", run, "answer lanes over mutual TLS, and the other verbs beside them")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8443, help="of the lanes (default: 8443)")
    parser.add_argument("--admin-port", type=int, help="show the operators' page on this port of 127.0.0.1")
    parser.add_argument("--refresh-s", type=float, default=60.0, help="how often leases are looked after (default: 60)")
    add_wallets(parser)
    add_allowance(parser)


def add_allowance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allowance",
        choices=["flat", "planned"],
        default="flat",
        help="flat: the same lease for every account at every lane; planned: by where accounts shop (default: flat)",
    )
    parser.add_argument(
        "--allowance-minor",
        type=int,
        default=DEFAULT_ALLOWANCE_MINOR,
        help=f"the flat lease (default: {DEFAULT_ALLOWANCE_MINOR})",
    )
    parser.add_argument("--lease-life-h", type=int, default=48, help="how long a lease lasts, in hours (default: 48)")
    add_rules(parser)


def run(args: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    with _alone_in(args.dir), opened(args) as backend:
        asyncio.run(_serve(args, backend))
    return 0


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Keep other servers out of the directory until this one ends, however it ends: an advisory lock (flock(2)).

    Books on PostgreSQL have room for several servers, but a directory has one socket for operators. Raises Refused.
    """
    with contextlib.ExitStack() as held:
        try:
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            held.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"another server has {directory}: stop it, or give this one a directory of its own") from None
        except OSError as error:
            raise Refused(f"{directory}: {error.strerror}") from None
        yield


async def _serve(args: argparse.Namespace, backend: Backend) -> None:
    from backend.admin.doors import operators_doors
    from backend.admin.listening import listening
    from backend.server import serve

    async with listening(*operators_doors(backend, args.dir, args.admin_port)):
        await serve(backend, args.dir, args.host, args.port, refresh_s=args.refresh_s)
