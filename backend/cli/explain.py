"""``explain``: why a lane decided as it did, decided again from what it sent."""

from __future__ import annotations

import argparse
from typing import Any, Final

from agent.core.sale_story import ALARM, GAPS
from backend.cli.backend_of import ask
from backend.cli.exceptions import entry_of
from backend.cli.options import add_verb
from backend.cli.output import show, show_json, show_table

REPLAYS: Final = {
    "same": "Decided again from its own record: the same answer, in every field.",
    "different": "ALARM: decided again from its own record, the answer is another.",
    "no_rule_asked": "No rule was asked.",
    "by_backend": "The lane did not decide this: it is an answer of this backend.",
    "policy_not_kept": "It cannot be decided again: {why} was never published here.",
    "unreadable": "It cannot be decided again by this version: {why}.",
}


def add_parser(verbs: Any) -> None:
    parser = add_verb(verbs, "explain", run, "why a lane approved or declined: every rule with its values")
    parser.add_argument("lane", metavar="LANE")
    parser.add_argument("entry", type=entry_of, metavar="EPOCH/NUMBER", help="as on the slip, or in `exceptions list`")


def run(args: argparse.Namespace) -> int:
    """Exit code 1: the decision does not follow from its record, or cannot be decided again."""
    epoch, number = args.entry
    told = ask(args, "entry.explain", lane=args.lane, epoch=epoch, number=number)
    decision = told["decision"]
    if args.json:
        show_json(told)
    else:
        show(args, _heading(told, decision))
        show_table(args, {"checks": [_row(check) for check in decision["checks"]]}, "checks", "no rule is shown")
    return 1 if decision["replay"] in {ALARM, *GAPS} else 0


def _heading(told: dict[str, Any], decision: dict[str, Any]) -> dict[str, Any]:
    """What was decided, and whether it still follows."""
    answer = "approved" if decision["approved"] else "declined"
    differs = [f"{name}: {both['stored']} is stored, {both['follows']} follows"
               for name, both in decision["differs"].items()]  # fmt: skip
    return {
        "sale": f"{told['sale_id']}, attempt {told['attempt']}",
        "amount_minor": f"{decision['amount_minor']} {decision['currency']}",
        "answer": f"{answer} {decision['response_code']} {decision['reason']}",
        "policy": f"{decision['policy_version']} of {told['lender']}",
        "clock": decision["clock_source"],
        "replay": REPLAYS[decision["replay"]].format(why=decision["why"]),
    } | ({"differs": differs} if differs else {})


def _row(check: dict[str, Any]) -> dict[str, Any]:
    values = " ".join(f"{name}={value}" for name, value in check["values"].items())
    said = check["said"] + (" *" if check["answered"] else "")
    return {"said": said, "rule": check["id"], "effect": check["effect"], "values": values}
