"""Where stores are, and in which time zone they keep their hours.

The one rule: a store whose place nobody has told is nowhere: no way leads to it or from it, and no rule is about one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from agent.core.travel import Place
from backend.database import Statement, compiled, fetch, inserting, put
from backend.schema import Lane, StorePlace

ZONE: Final = "Asia/Shanghai"
"""Of a store of which nothing else was told."""

NOWHERE: Final = Place(0, 0)
"""The origin of a layer for such a store: a spot in the ocean."""

_OF_LANE: Final = compiled(
    StorePlace.select(StorePlace.latitude_udeg, StorePlace.longitude_udeg, StorePlace.zone)
    .join(Lane, on=(StorePlace.merchant == Lane.merchant) & (StorePlace.store == Lane.store))
    .where(Lane.lane == "")
)
_PUT: Final = inserting(StorePlace, "REPLACE")


@dataclass(frozen=True, slots=True)
class Site:
    """Where a lane stands, if that is known, and its zone by its IANA name."""

    place: Place | None = None
    zone: str = ZONE


def of_lane(lane: str) -> Site:
    """The site of a lane's store."""
    found = fetch(_OF_LANE, lane)
    if not found:
        return Site()
    latitude_udeg, longitude_udeg, zone = found[0]
    return Site(Place(latitude_udeg, longitude_udeg), zone)


def question(lane: str) -> tuple[Statement, tuple[Any, ...]]:
    """What ``of_lane`` asks, to be asked ahead (``database.on_page``)."""
    return _OF_LANE, (lane,)


def set_place(merchant: str, store: str, place: Place, zone: str = ZONE) -> None:
    """Where the store is from now on; its lanes get layers that count from there. Inside a transaction."""
    row = {"merchant": merchant, "store": store, "zone": zone}
    put(StorePlace, _PUT, row | place._asdict())


def every() -> list[StorePlace]:
    """All places in the order of merchants and stores."""
    return list(StorePlace.select().order_by(StorePlace.merchant, StorePlace.store))
