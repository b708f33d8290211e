"""``enroll-code``: a one-time code for a lane's device.

The one rule: the code is shown once and kept nowhere; here lies its hash.
"""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_verb
from backend.cli.output import show

_DEFAULTS = {
    "store": "store-1", "merchant": "merchant-1", "merchant_name": "示例超市", "category": "5411", "currency": "CNY",
}  # fmt: skip


def add_parser(verbs: Any) -> None:
    parser = add_verb(verbs, "enroll-code", run, "a one-time code for a new lane, or for the next device of one")
    parser.add_argument("--lane", required=True)
    parser.add_argument("--replace", action="store_true", help="the lane is enrolled: for its next device")
    parser.add_argument("--compromised", action="store_true", help="believe nothing that the old device still sends")
    for name, default in _DEFAULTS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", default=default, help=f"default: {default}")


def run(args: argparse.Namespace) -> int:
    if args.replace:
        answer = ask(args, "lane.replace", lane=args.lane, compromised=args.compromised)
    else:
        answer = ask(args, "lane.enroll_code", lane=args.lane, **{name: getattr(args, name) for name in _DEFAULTS})
    show(args, answer)
    return 0
