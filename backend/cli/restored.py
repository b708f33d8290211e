"""``restored``: the database comes from a backup, so ask the lanes what it has forgotten."""

from __future__ import annotations

import argparse
from typing import Any

from backend.cli.backend_of import ask
from backend.cli.options import add_verb
from backend.cli.output import show_json
from backend.recovery import BY_OPERATOR, LANE_BEGINS_MAX


def add_parser(verbs: Any) -> None:
    parser = add_verb(verbs, "restored", run, "say that the database comes from a backup; lanes report what it forgot")
    parser.add_argument("--show", action="store_true", help="only tell which lanes are waited for")
    parser.add_argument("--reason", default=BY_OPERATOR, help="why, for the record")


def run(args: argparse.Namespace) -> int:
    answer = ask(args, "recovery.show") if args.show else ask(args, "recovery.begin", reason=args.reason)
    if args.json:
        show_json(answer)
        return 0
    for lender in answer["newer_at_lanes"]:
        print(f"lanes have newer keys or a newer policy of {lender} than this backend: keys rotate, policy publish")
    for lane in answer["not_believed"]:
        print(
            f"{lane} has said {LANE_BEGINS_MAX} times within a day that something was forgotten: not believed any more"
        )
        print(f"  if it lies: lane revoke {lane} --compromised; if it is right: restored")
    if answer["recovering_since"] is None:
        print("nothing is being recovered")
    else:
        waits = ", ".join(answer["waits_for"]) or "nobody: it ends by itself"
        whose = f"{answer['begun_by']} says so" if answer["begun_by"] else "not by a lane's word"
        print(f"recovering since {answer['recovering_since']} ({answer['reason']}, {whose}); waits for {waits}")
        for device in answer["to_admit"]:
            told = f"{device['lane']} of epoch {device['epoch']}, which has sent {device['entries']} entries"
            print(f"not known here (any more): {told}; say whose it is: lane admit {device['lane']}, or lane refuse")
        print("a lane that will never report again: lane revoke LANE, then lane write-off LANE")
    return 0
