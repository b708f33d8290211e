"""Operations on stores: where they are, and in which time zone they keep their hours."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent.core.snapshot_manifest import NAME
from agent.core.travel import Place
from backend import places
from backend.admin.operation import Answer, Refused
from backend.compose import Backend
from backend.database import transact
from backend.schema import StorePlace


def set_place(
    backend: Backend, *, merchant: str, store: str, latitude_udeg: int, longitude_udeg: int, zone: str = places.ZONE
) -> Answer:
    """Say where a store is, in microdegrees (WGS 84); its lanes get new layers, which tell where accounts were seen."""
    for name in (merchant, store):
        if NAME.fullmatch(name) is None:
            raise Refused(f"{name!r} is no name for a store or a merchant: {NAME.pattern}")
    if abs(latitude_udeg) > 90_000_000 or abs(longitude_udeg) > 180_000_000:
        raise Refused("a latitude is between -90 and 90 degrees, a longitude between -180 and 180")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise Refused(f"{zone!r} is no time zone; name one as in Asia/Shanghai") from None
    place = Place(latitude_udeg, longitude_udeg)
    transact(backend.database, lambda: places.set_place(merchant, store, place, zone))
    return _to_json(StorePlace.get(StorePlace.merchant == merchant, StorePlace.store == store))


def every(_backend: Backend, /) -> Answer:
    """Every store whose place is known."""
    return {"stores": [_to_json(row) for row in places.every()]}


def _to_json(row: StorePlace) -> dict[str, Any]:
    said = ("merchant", "store", "latitude_udeg", "longitude_udeg", "zone")
    return {name: getattr(row, name) for name in said}
