"""The backend that a verb is about: the running server if there is one, else the database itself.

The one rule: a verb does not know which of the two answered.
"""

from __future__ import annotations

import argparse
import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from backend.admin import client
from backend.admin.operation import Answer, Refused, Step, perform
from backend.admin.table import OPERATIONS
from backend.cli.files import database_of
from backend.cli.output import ProgressLine
from backend.cli.planner import rules_of
from backend.compose import Backend, compose
from backend.database import open_database
from backend.identity import Authority
from backend.rails.sandbox import all_sandboxes
from backend.snapshots import Plan


def ask(args: argparse.Namespace, operation: str, **params: Any) -> Answer:
    """The answer to an operation; parameters that are None are left to their defaults. Raises Refused."""
    given = {name: value for name, value in params.items() if value is not None}
    with ProgressLine() as line:
        for step in _steps(args, operation, given):
            if "answer" in step:
                return dict(step["answer"])
            line.show(**step["progress"])
    raise Refused("the operation ended without an answer")


def _steps(args: argparse.Namespace, operation: str, params: dict[str, Any]) -> Iterator[Step]:
    connection = client.connect(args.dir)
    if connection is not None:
        yield from client.ask(connection, operation, params)
        return
    with opened(args) as backend:
        yield from perform(OPERATIONS, backend, operation, params)


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[Backend]:
    """The backend of a directory, without a server. Raises Refused, DatabaseUnavailable, IdentityError."""
    where = database_of(args)
    if where is None or not (args.dir / "ca.key").exists():
        raise Refused(f"{args.dir} holds no backend; make one with: counterfoil-backend init --dir {args.dir}")
    authority = Authority.from_pem((args.dir / "ca.key").read_bytes(), (args.dir / "ca.crt").read_bytes())
    with closing(open_database(where)) as database:
        yield compose(
            database,
            clock=_now_s,
            randomness=secrets.token_bytes,
            authority=authority,
            plan=_plan(args),
            rails=all_sandboxes(database, _now_s) if getattr(args, "wallets", None) else None,
        )


def _plan(args: argparse.Namespace) -> Plan:
    """How this verb cuts layers; verbs that cut none have no say in it. Raises Refused."""
    if not hasattr(args, "allowance"):
        return Plan()
    rules = rules_of(args) if args.allowance == "planned" else None
    try:
        return Plan(args.allowance_minor, args.lease_life_h * 3600, rules=rules)
    except ValueError as error:
        raise Refused(f"{error}") from None


def _now_s() -> int:
    return int(time.time())
