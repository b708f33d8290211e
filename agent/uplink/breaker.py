"""The circuit breaker: whether a sale may wait for the backend. A value and a table, no clock.

The one rule: a sale never finds out for others. Once open, only a probe of the background closes the breaker again;
so a dead backend costs the sales of a lane at most `failures_max` waits, and one that refuses connections a single one.

    closed --failure (failures_max in a row), not reached--> open --probe--> half_open --success--> closed
                                                               ^---------------'failure, not reached
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Event(StrEnum):
    """What became of a call that had a sale's time budget, or that a probe sets out."""

    SUCCESS = "success"
    FAILURE = "failure"
    NOT_REACHED = "not_reached"
    PROBE = "probe"


TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = {
    (State.CLOSED, Event.SUCCESS): State.CLOSED,
    (State.CLOSED, Event.FAILURE): State.CLOSED,  # until there are failures_max of them
    (State.CLOSED, Event.NOT_REACHED): State.OPEN,
    (State.CLOSED, Event.PROBE): State.CLOSED,
    (State.OPEN, Event.SUCCESS): State.OPEN,  # a sale from before: it says less than the failures after it
    (State.OPEN, Event.FAILURE): State.OPEN,
    (State.OPEN, Event.NOT_REACHED): State.OPEN,
    (State.OPEN, Event.PROBE): State.HALF_OPEN,
    (State.HALF_OPEN, Event.SUCCESS): State.CLOSED,
    (State.HALF_OPEN, Event.FAILURE): State.OPEN,
    (State.HALF_OPEN, Event.NOT_REACHED): State.OPEN,
    (State.HALF_OPEN, Event.PROBE): State.HALF_OPEN,
}


@dataclass(frozen=True, slots=True)
class Breaker:
    """The breaker of one backend; open at first, because nothing is known yet. `failures` counts those in a row."""

    failures_max: int
    state: State = State.OPEN
    failures: int = 0

    @property
    def lets_sales_wait(self) -> bool:
        return self.state is State.CLOSED

    def after(self, event: Event) -> Breaker:
        state = TRANSITIONS[self.state, event]
        failures = self.failures + (event in (Event.FAILURE, Event.NOT_REACHED))
        if event is Event.SUCCESS and state is State.CLOSED:
            failures = 0
        if failures >= self.failures_max and state is State.CLOSED:
            state = State.OPEN
        return replace(self, state=state, failures=failures)
