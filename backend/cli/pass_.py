"""``pass issue``: what an account's test phone shows now.

The one rule: a phone needs nobody; only a new key needs the lender.
"""

from __future__ import annotations

import argparse
import secrets
import time
from typing import Any

from backend import demo_data
from backend.cli.backend_of import ask
from backend.cli.files import phone_path, save_phone
from backend.cli.options import add_account, add_credential, add_group, add_lender, add_verb
from backend.cli.output import show_json


def add_parser(verbs: Any) -> None:
    parser = add_verb(add_group(verbs, "pass", "credit passes"), "issue", run, "the code that a test phone shows now")
    add_account(parser)
    parser.add_argument("--verified", action="store_true", help="the phone has verified its user")
    parser.add_argument("--renew", action="store_true", help="a new phone key and credential first")
    add_credential(parser)
    add_lender(parser)


def run(args: argparse.Namespace) -> int:
    path = phone_path(args, args.account)
    if args.renew or not path.exists():
        given = {name: getattr(args, name) for name in ("lender", "cap_minor", "tier")}
        save_phone(args, args.account, ask(args, "account.phone", account=args.account, **given)["phone"])
    phone = demo_data.Phone.from_json(path.read_text())
    code = phone.show_pass(now_s=int(time.time()), cti=secrets.token_bytes(8), user_verified=args.verified)
    if args.json:
        show_json({"code": code})
    else:
        print(code)
    return 0
