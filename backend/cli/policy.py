"""``policy``: the limits and rules that a lender signs for its lanes.

The one rule: a policy is published whole, from a JSON document with a higher version.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from backend.admin.operation import Refused
from backend.cli.backend_of import ask
from backend.cli.options import add_group, add_lender, add_verb
from backend.cli.output import show


def add_parser(verbs: Any) -> None:
    into = add_group(verbs, "policy", "a lender's policy")
    showing = add_verb(into, "show", run_show, "the policy in force, as JSON")
    publishing = add_verb(into, "publish", run_publish, "put the policy of a JSON file in force")
    publishing.add_argument("file", type=Path, metavar="FILE")
    for parser in (showing, publishing):
        add_lender(parser)


def run_show(args: argparse.Namespace) -> int:
    policy = ask(args, "policy.show", lender=args.lender)["policy"]
    print(json.dumps(policy, ensure_ascii=False, indent=None if args.json else 2))
    return 0


def run_publish(args: argparse.Namespace) -> int:
    try:
        document = json.loads(args.file.read_text())
    except OSError as error:
        raise Refused(f"{args.file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"{args.file} is no JSON document: {error}") from None
    if not isinstance(document, dict):
        raise Refused(f"{args.file} holds no policy")
    show(args, ask(args, "policy.publish", document=document, lender=args.lender))
    return 0
