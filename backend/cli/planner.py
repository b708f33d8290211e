"""``planner simulate``: what policies of leasing cover, and tie up, in a town of people who never lived."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from backend.admin.operation import Refused
from backend.cli.options import add_group
from backend.cli.output import show_json, table
from backend.planner import chart, comparison
from backend.planner import trial as trials
from backend.planner.chart import Line
from backend.planner.rules import Rules
from backend.planner.trial import Score, Trial

GOAL: Final = (150, 900)
"""Tied up at most, covered of the regulars' offline turnover at least, in thousandths."""

_COUNTS: Final = (
    ("accounts", 3_000, "how many accounts"),
    ("lanes", 200, "lanes of all stores together"),
    ("stores", 40, "how many stores"),
    ("days", 28, "length of the trial, after the history"),
    ("seed", 1, "the same seed gives the same people and outages"),
)
_RULES: Final = (
    ("price-ppm", "millionths of itself that leased credit must be expected to carry a day"),
    ("history-d", "how many days back visits count"),
    ("visits-min", "visits in that time that make a lane a regular one"),
    ("leased-max-percent", "of an account's free credit, at all lanes together"),
)


def add_parser(verbs: Any) -> None:
    into = add_group(verbs, "planner", "how much credit to lease to which lane")
    about = "try policies on people who never lived: offline turnover covered, credit tied up"
    parser = into.add_parser("simulate", help=about, description=about)
    parser.set_defaults(run=simulate)
    for name, default, text in _COUNTS:
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} (default: {default})")
    add_rules(parser)
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw it, at many prices, as SVG")
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def add_rules(parser: argparse.ArgumentParser) -> None:
    """The planner's settings, each with its default."""
    group, usual = parser.add_argument_group("the planner"), Rules()
    for name, text in _RULES:
        default = getattr(usual, name.replace("-", "_"))
        group.add_argument(f"--{name}", type=int, default=default, help=f"{text} (default: {default})")


def rules_of(args: argparse.Namespace) -> Rules:
    """Raises Refused."""
    names = [name.replace("-", "_") for name, _ in _RULES]
    try:
        return Rules(**{name: getattr(args, name) for name in names})
    except ValueError as error:
        raise Refused(f"{error}") from None


def simulate(args: argparse.Namespace) -> int:
    rules = rules_of(args)
    if args.days <= 0 or args.accounts <= 0:
        raise Refused("a trial has at least one account and one day")
    counts = {"accounts": args.accounts, "stores": args.stores, "lanes": args.lanes, "days": args.days}
    try:
        trial = trials.set_up(args.seed, history_d=rules.history_d, **counts)
        found = list(comparison.side_by_side(trial, rules))
    except ValueError as error:
        raise Refused(f"{error}") from None
    if args.chart:
        args.chart.write_text(_drawn(trial, rules, found[0].score))
    rows = [{"policy": row.policy} | _shown(row.score) for row in found]
    if args.json:
        show_json({"policies": rows})
    else:
        print("\n".join(table(rows)))
        print(f"in percent of turnover at lanes that were cut off; regulars: {_regulars()}")
    return 0


def _regulars() -> str:
    return f"seen there {trials.REGULAR_VISITS} times or more in the history"


def _shown(score: Score) -> dict[str, Any]:
    return {
        "tied_up": _percent(score.tied),
        "of_regulars": _percent(score.regulars),
        "of_store_regulars": _percent(score.store_regulars),
        "of_all": _percent(score.everybody),
        "leases_per_account": f"{score.leases // 100}.{score.leases % 100:02}",
    }


def _percent(thousandths: int) -> str:
    return f"{thousandths // 10}.{thousandths % 10}"


def _drawn(trial: Trial, rules: Rules, chosen: Score) -> str:
    planned, split = list(comparison.planned_curve(trial, rules)), list(comparison.split_curve(trial, rules))
    lines = (
        Line("equal split, regulars of the lane", "#c62828", _points(split)),
        Line("planned, everybody", "#90a4ae", [(score.tied, score.everybody) for score in planned]),
        Line("planned, regulars of the lane", "#1565c0", _points(planned)),
        Line(f"price as set: {rules.price_ppm} millionths a day", "#0d2c54", _points([chosen])),
    )
    return chart.svg("What leases cover while lanes are cut off", lines, goal=GOAL)


def _points(scores: Iterable[Score]) -> list[chart.Point]:
    return [(score.tied, score.regulars) for score in scores]
