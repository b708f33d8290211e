"""Timing by interleaved blocks, and the figure that comes out.

The one rule: rivals take turns in small blocks, and a ratio is the median of the blocks' ratios, so that a neighbour's
noise hits both sides alike.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Final

Task = Callable[[], object]
Run = tuple[float, float]  # wall and thread time, in microseconds
NS_PER_US: Final = 1_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the bench. ``ratio`` is value / ``against`` of the same run; ``limit`` says what bounds the value."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    against: str = ""
    goal: str = ""
    limit: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    def to_text(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} x {self.against}"
        notes = "; ".join(note for note in (self.goal and f"goal {self.goal}", self.limit) if note)
        return f"{self.name:44} {self.value:12,.1f} {self.unit:9} {ratio:44} {notes}".rstrip()


@dataclass(frozen=True, slots=True)
class Timing:
    """What one task took: median, 99th percentile, the median of its blocks' ratios to the first task; and the median
    of this thread's processor time, which a busy machine disturbs less."""

    median_us: float
    p99_us: float
    ratio: float
    thread_us: float


@dataclass(frozen=True, slots=True)
class Size:
    """How long to measure."""

    blocks: int
    runs: int

    @property
    def total(self) -> int:
        return self.blocks * self.runs


def compare(size: Size, *tasks: Task, each: int = 1, between: Callable[[], None] = lambda: None) -> list[Timing]:
    """Run the tasks in turns; a run is ``each`` calls, for tasks too short for the clock. ``between`` is not timed."""
    blocks: list[list[list[Run]]] = [[] for _ in tasks]
    for _ in range(size.blocks):
        between()
        for task, timed in zip(tasks, blocks, strict=True):
            timed.append([_run(task, each) for _ in range(size.runs)])
    return [_timing(timed, blocks[0]) for timed in blocks]


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _run(task: Task, each: int) -> Run:
    began, began_thread = time.perf_counter_ns(), time.thread_time_ns()
    for _ in range(each):
        task()
    thread, wall = time.thread_time_ns() - began_thread, time.perf_counter_ns() - began
    return wall / each / NS_PER_US, thread / each / NS_PER_US


def _timing(timed: list[list[Run]], reference: list[list[Run]]) -> Timing:
    every = [wall for block in timed for wall, _ in block]
    ratios = [_median_wall(ours) / _median_wall(theirs) for ours, theirs in zip(timed, reference, strict=True)]
    thread_us = median(thread for block in timed for _, thread in block)
    return Timing(median(every), percentile(every, 0.99), median(ratios), thread_us)


def _median_wall(block: list[Run]) -> float:
    return median(wall for wall, _ in block)
