"""``keys``: the keys that a lender signs with."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_group, add_lender, add_verb
from backend.cli.output import show_table


def add_parser(verbs: Any) -> None:
    into = add_group(verbs, "keys", "a lender's signing keys")
    showing = add_verb(into, "show", run_show, "the keys that the root vouches for")
    rotating = add_verb(
        into, "rotate", run_rotate, "sign with a fresh key from now on; the old one verifies until its end"
    )
    rotating.add_argument("role", metavar="ROLE", help="root, credential, policy, snapshot or time")
    rotating.add_argument(
        "--algorithm",
        choices=["ed25519", "p256", "sm2"],
        help="of the fresh key (default: as now); sm2: of credentials",
    )
    revoking = add_verb(into, "revoke", run_revoke, "nothing that a key has signed counts any more")
    revoking.add_argument("kid", metavar="KEY", help="id of the key, in hex")
    for parser in (showing, rotating, revoking):
        add_lender(parser)


def run_show(args: argparse.Namespace) -> int:
    return _show(args, ask(args, "keys.show", lender=args.lender))


def run_rotate(args: argparse.Namespace) -> int:
    return _show(args, ask(args, "keys.rotate", role=args.role, algorithm=args.algorithm, lender=args.lender))


def run_revoke(args: argparse.Namespace) -> int:
    return _show(args, ask(args, "keys.revoke", kid=args.kid, lender=args.lender))


def _show(args: argparse.Namespace, answer: dict[str, Any]) -> int:
    if not args.json:
        print(f"key list {answer['version']} of {answer['lender']}, under its root number {answer['roots']}")
    show_table(args, answer, "keys", "the lender has no key")
    return 0
