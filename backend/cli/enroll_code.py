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
    parser = add_verb(verbs, "enroll-code", run, "a one-time code for a new lane")
    parser.add_argument("--lane", required=True)
    for name, default in _DEFAULTS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", default=default, help=f"default: {default}")


def run(args: argparse.Namespace) -> int:
    named = {name: getattr(args, name) for name in _DEFAULTS}
    show(args, ask(args, "lane.enroll_code", lane=args.lane, **named))
    return 0
