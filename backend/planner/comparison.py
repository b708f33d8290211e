"""Policies side by side: what each covers of the offline turnover, and what it ties up for that.

The one rule: all are tried on the same people, the same sales and the same outages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from backend.planner import trial as trials
from backend.planner.rules import Rules
from backend.planner.trial import Score, Trial

FLAT_MINOR: Final = 20_000
PRICES_PPM: Final = (500, 1_000, 1_500, 2_500, 4_000, 6_000, 9_000, 14_000)
SHARES: Final = (50, 100, 200, 300, 400, 500)
"""Of an account's credit, in thousandths, for the equal split of a curve."""


class Row(NamedTuple):
    """A policy's name, and what came of it."""

    policy: str
    score: Score


def side_by_side(trial: Trial, rules: Rules) -> Iterator[Row]:
    """The planner first; the equal split may tie up as much as the planner does."""
    store_of = {lane: store.name for store in trial.town for lane in store.lanes}
    planned = trials.try_out(trial, trials.planner(trial, rules))
    yield Row("planned", planned)
    split = trials.equal_split(trial, rules, planned.tied)
    yield Row("equal split over the lanes visited", trials.try_out(trial, split))
    yield Row(f"flat, {FLAT_MINOR} minor at every lane", trials.try_out(trial, trials.flat(trial, FLAT_MINOR)))
    shared = trials.planner(trial, rules, place=store_of)
    yield Row("planned, were leases shared by a store's lanes", trials.try_out(trial, shared, place=store_of))
    yield Row("oracle: knows the sales of every outage", trials.try_out(trial, trials.oracle(trial)))


def planned_curve(trial: Trial, rules: Rules) -> Iterator[Score]:
    """The planner at ever higher prices of credit."""
    for price_ppm in PRICES_PPM:
        yield trials.try_out(trial, trials.planner(trial, replace(rules, price_ppm=price_ppm)))


def split_curve(trial: Trial, rules: Rules) -> Iterator[Score]:
    """The equal split of ever more credit."""
    for share in SHARES:
        yield trials.try_out(trial, trials.equal_split(trial, rules, share))
