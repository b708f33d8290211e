"""``account``: open, show, limit and block credit accounts, and take repayments.

The one rule: a new account comes with a test phone in the directory, so that it can be tried at once.
"""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.files import save_phone
from backend.cli.options import add_account, add_credential, add_group, add_lender, add_verb, token
from backend.cli.output import show, show_table, table


def add_parser(verbs: Any) -> None:
    into = add_group(verbs, "account", "accounts")
    adding = add_verb(into, "add", add, "open an account and give it a test phone")
    adding.add_argument("--token", type=token, metavar="HEX", help="16 bytes in hex (default: random)")
    adding.add_argument("--count", type=int, default=1, help="how many accounts to open")
    adding.add_argument("--limit-minor", type=int, required=True)
    add_credential(adding)
    adding.add_argument(
        "--purpose-bound", action="store_true", help="credit for a purpose: the policy excludes categories"
    )
    showing = add_verb(into, "show", show_books, "the books of one account, or of all")
    add_account(showing, nargs="?")
    showing.add_argument("--limit", type=int, help="at most so many accounts")
    limiting = add_verb(into, "limit", limit, "set an account's limit")
    add_account(limiting)
    limiting.add_argument("--limit-minor", type=int, required=True)
    blocking = add_verb(into, "block", block, "block an account")
    add_account(blocking)
    blocking.add_argument("--lift", action="store_true", help="unblock it")
    repaying = add_verb(into, "repay", repay, "the customer pays debt or fees back")
    add_account(repaying)
    repaying.add_argument("--amount-minor", type=int, default=0, help="of the debt: it is available again (default: 0)")
    repaying.add_argument("--fee-minor", type=int, default=0, help="of what instalments cost (default: 0)")
    for parser in (adding, showing, limiting, blocking, repaying):
        add_lender(parser)


def add(args: argparse.Namespace) -> int:
    names = ("limit_minor", "lender", "count", "cap_minor", "tier", "purpose_bound")
    given = {name: getattr(args, name) for name in names}
    opened = ask(args, "account.add", account=args.token, **given)["accounts"]
    for account in opened:
        save_phone(args, account["account"], account.pop("phone"))
    show(args, {"accounts": opened} if args.count > 1 else opened[0])
    return 0


def show_books(args: argparse.Namespace) -> int:
    answer = ask(args, "account.show", account=args.account, lender=args.lender, limit=args.limit)
    show_table(args, answer, "accounts", "there are no accounts")
    if answer.get("instalments") and not args.json:
        print("\ninstalments\n" + "\n".join(table(answer["instalments"])))
    if answer.get("caps") and not args.json:
        print("\nunder the pass's own cap, at the lender's risk\n" + "\n".join(table(answer["caps"])))
    left = answer["total"] - len(answer["accounts"])
    if left and not args.json:
        print(f"and {left} more: --limit")
    return 0


def limit(args: argparse.Namespace) -> int:
    show(args, ask(args, "account.limit", account=args.account, limit_minor=args.limit_minor, lender=args.lender))
    return 0


def block(args: argparse.Namespace) -> int:
    show(args, ask(args, "account.block", account=args.account, lift=args.lift, lender=args.lender))
    return 0


def repay(args: argparse.Namespace) -> int:
    paid = {"amount_minor": args.amount_minor, "fee_minor": args.fee_minor}
    show(args, ask(args, "account.repay", account=args.account, lender=args.lender, **paid))
    return 0
