"""What verbs have in common on the command line.

The one rule: every verb knows its backend by ``--dir``, and answers in JSON with ``--json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

Verb = Callable[[argparse.Namespace], int]


def add_verb(into: Any, name: str, run: Verb, about: str) -> argparse.ArgumentParser:
    """A verb with the common options; ``about`` is its help, in the imperative."""
    added: argparse.ArgumentParser = into.add_parser(name, help=about, description=about)
    added.set_defaults(run=run)
    added.add_argument("--dir", type=Path, required=True, help="directory of this backend")
    added.add_argument(
        "--database", metavar="URL", help="postgresql://… (default: as said at init, else a file in DIR)"
    )
    added.add_argument("--json", action="store_true", help="answer in JSON")
    return added


def add_group(into: Any, name: str, about: str) -> Any:
    """A word that verbs stand behind, as in ``account add``."""
    return into.add_parser(name, help=about, description=about).add_subparsers(required=True, metavar="VERB")


def add_lender(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lender", help="lender id (default: the only one that can be meant)")


def add_account(parser: argparse.ArgumentParser, **how: Any) -> None:
    parser.add_argument("account", type=token, metavar="ACCOUNT", help="token of the account, in hex", **how)


def add_credential(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cap-minor", type=int, default=0, help="offline cap that the credential states")
    parser.add_argument("--tier", type=int, default=1)


def token(text: str) -> str:
    """An account token on the command line: 16 bytes in hex, in lower case."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 16:
        raise argparse.ArgumentTypeError("a token is 16 bytes: 32 hexadecimal digits")
    return found.hex()


def add_wallets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wallets", choices=["sandbox"], help="serve wallet codes by rails that move nobody's money (default: none)"
    )
