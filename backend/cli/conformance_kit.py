"""``conformance-kit``: what ``counterfoil conformance`` needs to try this backend.

The one rule: its hooks are verbs of this command beside the running server; what has no verb has no hook.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shlex
import sys
from pathlib import Path
from typing import Any, Final

from backend.admin.operation import Refused
from backend.cli.backend_of import ask
from backend.cli.files import write_private
from backend.cli.options import add_lender, add_verb, add_wallets
from backend.cli.output import show

_HOOKS: Final = {
    "revoke_lane": "lane revoke {lane} --compromised --dir {directory}",
    "replace_lane": "lane replace {lane} --dir {directory} | sed -n 's/^code: //p'",
    "set_limit": "account limit {account} --limit-minor {limit_minor} --lender {lender} --dir {directory}",
    "rotate_key": "keys rotate {role} --lender {lender} --dir {directory}",
    "restored": "restored --dir {directory}",
    "recall": "lease recall --account {account} --lane {lane} --lender {lender} --reason conformance --dir {directory}",
    "pay_code": "pay '{code}' {account} --lender {lender} --dir {directory}",
}


def add_parser(verbs: Any) -> None:
    parser = add_verb(
        verbs, "conformance-kit", run, "codes, phones and hooks for: counterfoil conformance URL --kit FILE"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--prefix", help="how the names of its lanes begin (default: random)")
    add_lender(parser)
    add_wallets(parser)


def run(args: argparse.Namespace) -> int:
    if not args.out.absolute().parent.is_dir():
        raise Refused(f"{args.out} cannot be written: there is no such folder")
    prefix = args.prefix or f"kit-{secrets.token_hex(3)}"
    kit = ask(args, "conformance.kit", prefix=prefix, lender=args.lender, hooks=hooks(args))["kit"]
    write_private(args.out, json.dumps(kit, ensure_ascii=False, indent=1).encode())
    show(args, {"kit": str(args.out), "lanes": len(kit["codes"]), "phones": len(kit["phones"])})
    return 0


def hooks(args: argparse.Namespace) -> dict[str, str]:
    """A shell command for each hook."""
    command = shlex.join([sys.executable, "-m", "backend.cli"])
    directory = shlex.quote(str(args.dir.absolute()))
    return {name: f"{command} {words.replace('{directory}', directory)}" for name, words in _HOOKS.items()}
