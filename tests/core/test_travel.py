"""The way between two places: near the great circle where people go by road, and the same for lane and lender."""

from math import asin, cos, isqrt, radians, sin, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.travel import OFFSET_MAX_KM, Place, offset_km, way

SHANGHAI, BEIJING = Place(31_230_400, 121_473_700), Place(39_904_200, 116_407_400)
WEST_OF_THE_DATE_LINE, EAST_OF_IT = Place(-18_000_000, 179_950_000), Place(-18_000_000, -179_950_000)
PLACES = st.builds(Place, st.integers(-70_000_000, 70_000_000), st.integers(-180_000_000, 180_000_000))
STEPS = st.integers(-400_000, 400_000)  # some 45 km


def great_circle_km(one: Place, other: Place) -> float:
    """Haversine on a sphere of 6,371.0088 km."""
    (north, east), (to_north, to_east) = ([radians(udeg / 1e6) for udeg in place] for place in (one, other))
    half = sin((to_north - north) / 2) ** 2 + cos(north) * cos(to_north) * sin((to_east - east) / 2) ** 2
    return 2 * 6371.0088 * asin(sqrt(half))


@pytest.mark.parametrize(
    ("origin", "place", "offset"),
    [
        (SHANGHAI, SHANGHAI, (0, 0)),
        (SHANGHAI, Place(31_230_400, 121_515_700), (4, 0)),
        (SHANGHAI, Place(31_225_904, 121_473_700), (0, 0)),  # 499 m
        (SHANGHAI, Place(31_225_900, 121_473_700), (0, -1)),  # 501 m
        (SHANGHAI, BEIJING, (-458, 964)),
        (WEST_OF_THE_DATE_LINE, EAST_OF_IT, (11, 0)),
        (SHANGHAI, Place(-33_868_800, 151_209_300), (OFFSET_MAX_KM, -OFFSET_MAX_KM)),
    ],
)
def test_known_ways(origin: Place, place: Place, offset: tuple[int, int]) -> None:
    assert offset_km(origin, place) == offset


@given(PLACES, STEPS, STEPS)
def test_ways_by_road_are_those_of_the_great_circle_within_a_kilometre_or_two(
    one: Place, north: int, east: int
) -> None:
    other = Place(one.latitude_udeg + north, (one.longitude_udeg + east + 180_000_000) % 360_000_000 - 180_000_000)
    way_km = isqrt(sum(km * km for km in offset_km(one, other)))
    assert abs(way_km - great_circle_km(one, other)) < 2


@given(PLACES, PLACES)
def test_the_way_back_is_as_far(one: Place, other: Place) -> None:
    there, back = offset_km(one, other), offset_km(other, one)
    assert all(abs(a + b) <= 1 or abs(a) == OFFSET_MAX_KM for a, b in zip(there, back, strict=True))


def test_a_clock_that_goes_back_makes_no_time_below_zero() -> None:
    assert way((3, 4), -60) == {"travel_known": True, "travel_km": 5, "travel_elapsed_s": 0}
    assert way(None, 60) == {"travel_known": False, "travel_km": 0, "travel_elapsed_s": 0}
