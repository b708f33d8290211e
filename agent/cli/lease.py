"""`counterfoil lease`: what this lane may still spend of an account's credit, and giving it back."""

import argparse
from typing import Any
from urllib.parse import quote

from agent.cli.options import add_config, add_json, client, show


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("lease", help="what is left of an account's lease at this lane; give it back")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    look = verbs.add_parser("show", help="what is left")
    look.set_defaults(run=_show)
    back = verbs.add_parser("return", help="give it back: the lender frees it when the entry has arrived")
    back.add_argument("--amount", type=int, metavar="MINOR", help="minor units (default: all that is left)")
    back.set_defaults(run=_return)
    for verb in (look, back):
        verb.add_argument("account", help="account token, 32 hexadecimal digits")
        verb.add_argument("--lender", help="whose account (default: the first lender)")
        add_config(verb)
        add_json(verb)


def _show(args: argparse.Namespace) -> int:
    lender = f"?lender={quote(args.lender, safe='')}" if args.lender else ""
    return _shown(args, client(args).get(f"{_path(args.account)}{lender}"))


def _return(args: argparse.Namespace) -> int:
    body = {"lender": args.lender, "amount_minor": args.amount}
    given = {name: value for name, value in body.items() if value is not None}
    return _shown(args, client(args).post(f"{_path(args.account)}/return", given))


def _path(account: str) -> str:
    return f"/v1/leases/{quote(account, safe='')}"


def _shown(args: argparse.Namespace, lease: dict[str, Any]) -> int:
    if args.json:
        show(lease)
        return 0
    if "returned_minor" in lease:
        print(f"Given back: {lease['returned_minor']} minor units; the lender frees them when the entry has arrived.")
    print(f"Left at this lane: {lease['left_minor']} minor units of {lease['lender']}.")
    return 0
