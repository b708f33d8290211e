"""A case: one rule of the written protocol, and what shows whether a backend keeps it.

The one rule: a case names the sentence that it checks; a failure quotes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from agent.conformance.world import World

Run: TypeAlias = Callable[["World"], None]


@dataclass(frozen=True, slots=True)
class Case:
    """``rule`` is the id of a sentence in lane-protocol.md; ``needs`` are members or hooks of the kit."""

    id: str
    rule: str
    title: str
    needs: tuple[str, ...]
    run: Run


@dataclass(slots=True)
class Group:
    """The cases of one theme, in the order in which they are written."""

    name: str
    cases: list[Case] = field(default_factory=list)

    def case(self, rule: str, title: str, *, needs: tuple[str, ...] = ()) -> Callable[[Run], Run]:
        """The decorated function becomes a case; its id is the rule's and the function's name."""

        def add(run: Run) -> Run:
            self.cases.append(Case(f"{rule}.{run.__name__.replace('_', '-')}", rule, title, needs, run))
            return run

        return add
