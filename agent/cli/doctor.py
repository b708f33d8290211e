"""`counterfoil doctor`: what is wrong with this lane, why, and what to do about it.

The rule: short lines in plain words, no colour needed, each as soon as it is known; it works whether or not the agent
runs, and changes nothing.
"""

from __future__ import annotations

import argparse
import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from agent.cli.options import add_config, add_json, show

if TYPE_CHECKING:
    from agent.diagnosis.examination import Result

WIDTH: Final = 79
INDENT: Final = " " * 8
WORDS: Final = {"ok": "ok", "warning": "LOOK", "failed": "FAILED", "skipped": "skipped"}


def add_parser(subparsers: Any) -> None:
    text = "check everything, say what is wrong and what to do; exit code 3: needs a look, 4: does not work"
    parser = subparsers.add_parser("doctor", help="check everything, and say what to do", description=text)
    add_config(parser)
    add_json(parser)
    parser.add_argument("--faults", action="store_true", help="show only what is not well")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from agent.diagnosis.case import Case
    from agent.diagnosis.checks import CHECKS
    from agent.diagnosis.examination import examine, exit_code

    results: list[Result] = []
    hidden = {"skipped", "ok"} if args.faults else {"skipped"}
    with Case(args.config) as case:
        for result in examine(CHECKS, case):
            results.append(result)
            if not args.json and result.finding.status not in hidden:
                print("\n".join(_lines(result)), flush=True)
    if args.json:
        show({"exit_code": exit_code(results), "checks": [result.to_dict() for result in results]})
    else:
        print("\n".join([*_skipped(results), "", _summary(results)]))
    return exit_code(results)


def _lines(result: Result) -> Iterator[str]:
    finding = result.finding
    yield from textwrap.wrap(
        f"{WORDS[finding.status]:<8}{result.title:<17}{finding.said}", WIDTH, subsequent_indent=INDENT + " " * 17
    )
    for label, sentence in (("why: ", finding.cause), ("do:  ", finding.remedy)):
        if sentence:
            yield from textwrap.wrap(INDENT + label + sentence, WIDTH, subsequent_indent=INDENT + " " * len(label))


def _skipped(results: list[Result]) -> Iterator[str]:
    """What could not be looked at, by its cause: a line for each would hide the fault that is to be mended."""
    titles: dict[str, list[str]] = {}
    for result in results:
        if result.finding.status == "skipped":
            titles.setdefault(result.finding.said, []).append(result.title)
    for cause, skipped in titles.items():
        yield from textwrap.wrap(
            f"{WORDS['skipped']} {cause}: {', '.join(skipped)}", WIDTH, subsequent_indent=INDENT, break_on_hyphens=False
        )


def _summary(results: list[Result]) -> str:
    counts = Counter(result.finding.status for result in results)
    total = (
        f"{counts['ok']} ok, {counts['warning']} to look at, {counts['failed']} failed, {counts['skipped']} skipped."
    )
    first = next((r for status in ("failed", "warning") for r in results if r.finding.status == status), None)
    if first is None:
        return f"{total} All is well."
    return "\n".join(textwrap.wrap(f"{total} Begin with: {first.title}. {first.finding.remedy}", WIDTH))
