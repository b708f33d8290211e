"""Runs the cases against one backend, one after the other, and says what became of each.

The one rule: a case passes, fails or is skipped, and each says why; a fault of one case never hides another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agent.conformance.case import Case
from agent.conformance.cases import CASES
from agent.conformance.exchange import Broken, Skipped
from agent.conformance.kit import HOOKS, Kit
from agent.conformance.world import World
from agent.protocol import rules

Outcome: TypeAlias = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case. ``why`` is what was expected, or what is missing."""

    case: Case
    outcome: Outcome
    took_s: float
    why: str = ""
    sent: str = ""
    came: str = ""

    def to_json(self) -> dict[str, Any]:
        row = {"id": self.case.id, "title": self.case.title, "outcome": self.outcome}
        if self.outcome == "passed":
            return row
        if self.outcome == "skipped":
            return row | {"missing": self.why}
        rule = rules()[self.case.rule]
        return row | {"rule": rule, "expected": self.why, "sent": self.sent, "came": self.came}


def chosen(only: Collection[str] = ()) -> list[Case]:
    """The cases whose id, rule or group begins with one of ``only``; all if it is empty."""
    return [case for case in CASES if not only or any(case.id.startswith(word) for word in only)]


def run(url: str, kit: Kit, cases: Collection[Case], *, tell: Callable[[Result], None]) -> list[Result]:
    """Try every case; ``tell`` hears of each result at once. Raises Broken if the backend does not even give its CA."""
    world = World(url, kit)
    results = []
    try:
        for result in _results(world, cases):
            tell(result)
            results.append(result)
    finally:
        world.close()
    return results


def _results(world: World, cases: Collection[Case]) -> Iterator[Result]:
    for case in cases:
        missing = [name for name in case.needs if not _has(world.kit, name)]
        if missing:
            yield Result(case, "skipped", 0.0, f"the kit has no {', '.join(missing)}")
            continue
        yield _try(case, world)


def _try(case: Case, world: World) -> Result:
    began = time.monotonic()

    def took_s() -> float:
        return time.monotonic() - began

    try:
        with world.of_one_case():
            case.run(world)
    except Skipped as skipped:
        return Result(case, "skipped", took_s(), str(skipped))
    except Broken as broken:
        return Result(case, "failed", took_s(), broken.expected, broken.sent, broken.came)
    except (KeyError, TypeError, ValueError, AttributeError, LookupError) as error:
        # The answer had not the members that the protocol promises: the backend's fault, not a stack trace's.
        return Result(case, "failed", took_s(), f"an answer of the agreed shape ({type(error).__name__}: {error})")
    return Result(case, "passed", took_s())


def _has(kit: Kit, name: str) -> bool:
    return name in kit.hooks if name in HOOKS else getattr(kit, name) is not None
