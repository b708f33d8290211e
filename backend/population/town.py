"""The town: stores and their lanes, where they lie, and how strongly each draws customers.

The one rule: the same seed gives the same town, and account number i of it is the same whatever the number of accounts.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, hypot, radians
from typing import Final

from agent.core.travel import Place

SIDE_KM: Final = 12.0
CORNER: Final = Place(31_170_000, 121_410_000)
"""The corner in the south-west, in Shanghai."""

UDEG_PER_KM: Final = 8_993.2
"""Of latitude: 180 degrees by pi and the mean earth radius (IUGG, R1)."""

ATTRACTION_SIGMA: Final = 0.5
"""Of the log-normal attraction (floor space, prices): the largest of forty stores draws ten times the smallest."""

DECAY: Final = 2.0
"""Huff (1964): a store's share of a customer falls with the square of the distance."""

NEAREST_KM: Final = 0.3
"""Nobody lives nearer than this; it keeps the share of a store next door finite."""


@dataclass(frozen=True, slots=True)
class Store:
    """A store at kilometres ``x_km``, ``y_km`` from the town's corner, and the names of its lanes."""

    name: str
    x_km: float
    y_km: float
    attraction: float
    lanes: tuple[str, ...]

    @property
    def place(self) -> Place:
        """Where the store is, if the town's corner is where ``CORNER`` says."""
        north_udeg = self.y_km * UDEG_PER_KM
        east_udeg = self.x_km * UDEG_PER_KM / cos(radians(CORNER.latitude_udeg / 1e6))
        return Place(CORNER.latitude_udeg + round(north_udeg), CORNER.longitude_udeg + round(east_udeg))

    def pull(self, x_km: float, y_km: float) -> float:
        """Huff's weight of this store for somebody who lives there; only ratios mean anything."""
        away_km = hypot(self.x_km - x_km, self.y_km - y_km) + NEAREST_KM
        return float(self.attraction / away_km**DECAY)


def build(seed: int, *, stores: int, lanes: int) -> tuple[Store, ...]:
    """``stores`` stores that share ``lanes`` lanes by their attraction, each with one at least.

    Raises ValueError if there are fewer lanes than stores, or no store.
    """
    if not 0 < stores <= lanes:
        raise ValueError("a town has at least one store, and every store at least one lane")
    chance = random.Random(f"{seed}/town")
    places = [(chance.uniform(0, SIDE_KM), chance.uniform(0, SIDE_KM)) for _ in range(stores)]
    attractions = [chance.lognormvariate(0, ATTRACTION_SIGMA) for _ in range(stores)]
    return tuple(
        Store(_store(number), *place, attraction, tuple(_lane(number, lane) for lane in range(1, count + 1)))
        for number, (place, attraction, count) in enumerate(
            zip(places, attractions, shares(lanes, attractions), strict=True), 1
        )
    )


def shares(total: int, weights: Sequence[float]) -> list[int]:
    """``total`` split by weight into whole numbers of at least one (largest remainder); the sum is exact."""
    spare, whole = total - len(weights), sum(weights)
    exact = [spare * weight / whole for weight in weights]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda at: counts[at] - exact[at])
    for at in by_remainder[: spare - sum(counts)]:
        counts[at] += 1
    return [count + 1 for count in counts]


def _store(number: int) -> str:
    return f"store-{number:03}"


def _lane(store: int, number: int) -> str:
    return f"store-{store:03}-lane-{number:02}"
