"""The suite's result for people and for programs.

The one rule: a failure quotes the sentence of the protocol, and shows what was sent, expected and received.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.conformance.suite import Result
from agent.protocol import rules

_MARKS = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}


def line(result: Result) -> str:
    """One case: a line, and for a failure the paragraph that explains it."""
    head = f"{_MARKS[result.outcome]} {result.case.id:<44} {result.case.title}"
    if result.outcome == "skipped":
        return f"{head}\n       missing: {result.why}"
    if result.outcome == "passed":
        return head
    told = [("rule", f"{result.case.rule} {rules()[result.case.rule]}"), ("sent", result.sent)]
    told += [("expected", result.why), ("came", result.came or "nothing that could be shown")]
    return "\n".join([head, *(f"       {name}: {text}" for name, text in told if text)])


def counts(results: Sequence[Result]) -> dict[str, int]:
    return {outcome: sum(1 for one in results if one.outcome == outcome) for outcome in _MARKS}


def summary(results: Sequence[Result]) -> str:
    count, took_s = counts(results), sum(one.took_s for one in results)
    return f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped in {took_s:.1f} s"


def document(url: str, results: Sequence[Result]) -> dict[str, Any]:
    """The whole run as one JSON object."""
    return {"url": url, **counts(results), "cases": [one.to_json() for one in results]}
