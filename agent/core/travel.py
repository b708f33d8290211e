"""The way from where an account was last seen to the store where it is now.

The one rule: lane and lender measure alike: whole kilometres east and north, as far as a record of a snapshot can say.
"""

from __future__ import annotations

from math import cos, isqrt, radians
from typing import Final, NamedTuple

OFFSET_MAX_KM: Final = 2_046
"""Of a record's place to either side (``snapshot_layer.Record``)."""

_DEGREE_M: Final = 111_195
"""A degree of latitude: the mean earth radius of 6,371,008.8 m (IUGG, R1) by pi / 180."""

_HALF_TURN_UDEG: Final = 180_000_000


class Place(NamedTuple):
    """Latitude and longitude in microdegrees (WGS 84), north and east positive."""

    latitude_udeg: int
    longitude_udeg: int


def offset_km(origin: Place, place: Place) -> tuple[int, int]:
    """How far east and north of ``origin`` a place is, on the plane that touches the earth between the two: within
    1 % for the distances that people go by road; clamped where records end."""
    north_udeg = place.latitude_udeg - origin.latitude_udeg
    turned = place.longitude_udeg - origin.longitude_udeg + _HALF_TURN_UDEG
    east_udeg = turned % (2 * _HALF_TURN_UDEG) - _HALF_TURN_UDEG
    middle = radians((place.latitude_udeg + origin.latitude_udeg) / 2_000_000)
    return _km(round(east_udeg * cos(middle))), _km(north_udeg)


def way(offset: tuple[int, int] | None, elapsed_s: int) -> dict[str, int]:
    """The variables of a rule about travel; None for ``offset``: nothing is known."""
    if offset is None:
        return {"travel_known": False, "travel_km": 0, "travel_elapsed_s": 0}
    east_km, north_km = offset
    km = isqrt(east_km * east_km + north_km * north_km)
    return {"travel_known": True, "travel_km": km, "travel_elapsed_s": max(0, elapsed_s)}


def _km(udeg: int) -> int:
    """The nearest whole kilometre of an arc of a great circle."""
    km = (udeg * _DEGREE_M + 500_000_000) // 1_000_000_000
    return min(max(km, -OFFSET_MAX_KM), OFFSET_MAX_KM)
