"""What a series of simulated runs came to: for a person in a few lines, for a script as JSON.

The one rule: a failing run is told with its seed and its last events, so that the next command can replay it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from agent.simulation.fleet import Run, simulate
from agent.simulation.town import Scale

VIOLATIONS_SHOWN_MAX = 10


def run_series(first_seed: int, runs: int, scale: Scale) -> Iterable[Run]:
    """One run a seed, from ``first_seed`` on, until one has findings."""
    for seed in range(first_seed, first_seed + runs):
        run = simulate(seed, scale)
        yield run
        if run.findings.violations:
            return


def as_text(runs: Sequence[Run], scale: Scale) -> str:
    hours = sum(run.lane_hours for run in runs)
    events = sum(run.findings.events for run in runs)
    sales, approved = sum(run.sales for run in runs), sum(run.approved for run in runs)
    failed = [run for run in runs if run.findings.violations]
    lines = [
        f"{len(runs)} runs, {hours:g} lane-hours, {sales} sales ({approved} approved), {events} events audited",
        *(f"seed {run.seed}: trace {run.findings.trace[:16]}" for run in runs[:1]),
        "every promise held" if not failed else f"{len(failed)} run with violations",
    ]
    return "\n".join([*lines, *(line for run in failed for line in _failure(run, scale))])


def as_json(runs: Sequence[Run]) -> str:
    return json.dumps([_plain(run) for run in runs], indent=1)


def _failure(run: Run, scale: Scale) -> list[str]:
    shown = run.findings.violations[:VIOLATIONS_SHOWN_MAX]
    again = f"counterfoil simulate --seed {run.seed} --lanes {scale.lanes} --hours {scale.hours:g}"
    events = [f"  {event}" for event in run.findings.last_events]
    return ["", f"seed {run.seed}:", *shown, "last events:", *events, f"replay: {again}"]


def _plain(run: Run) -> dict[str, Any]:
    return {
        "seed": run.seed,
        "lane_hours": run.lane_hours,
        "sales": run.sales,
        "approved": run.approved,
        "events": run.findings.events,
        "trace": run.findings.trace,
        "violations": run.findings.violations,
        "last_events": list(run.findings.last_events) if run.findings.violations else [],
    }
