"""Lease rule 14: which time it is, and when to believe it. A row is a moment in a lane's life."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.trusted_time import Anchor, accept_signed, raise_floor, read

NOW = 1_800_000_000
DAY = 86_400
# Trusted by holdover: a signed time an hour ago in an earlier run of the process.
BASE: dict[str, Any] = {
    "wall_s": NOW,
    "monotonic_s": 1_000.0,
    "anchor": None,
    "started": Anchor(NOW - 600, 400.0),
    "floor_s": NOW - 3_600,
    "last_signed_s": NOW - 3_600,
    "holdover_max_s": 3 * DAY,
    "recorded_s": NOW - 700,
}
SIGNED = {"anchor": Anchor(NOW - 50, 950.0)}
MOMENTS: dict[str, tuple[dict[str, Any], str, int]] = {
    "an hour after a signed time of an earlier run": ({}, "holdover", NOW),
    "a minute after a signed time": (SIGNED, "signed", NOW),
    "a signed time, and the wall clock is in 1970": (SIGNED | {"wall_s": 0}, "signed", NOW),
    "a signed time, and the wall clock is a year ahead": (SIGNED | {"wall_s": NOW + 365 * DAY}, "signed", NOW),
    "a signed time, behind what an earlier run recorded": (SIGNED | {"recorded_s": NOW + DAY}, "signed", NOW),
    "a first start: no signed time ever": ({"last_signed_s": None, "floor_s": 0}, "untrusted", NOW),
    "the battery died: 1970": ({"wall_s": 0, "started": Anchor(0, 1_000.0)}, "untrusted", NOW - 700),
    "set back behind the floor": ({"wall_s": NOW - 3_601}, "untrusted", NOW - 700),
    "set back behind the last entry, before the start": (
        {"wall_s": NOW - 800, "started": Anchor(NOW - 1_400, 400.0)},
        "untrusted",
        NOW - 700,
    ),
    "the holdover is over": ({"last_signed_s": NOW - 3 * DAY - 1}, "untrusted", NOW),
    "the holdover is just not over": ({"last_signed_s": NOW - 3 * DAY}, "holdover", NOW),
    "the wall clock jumped forward while it ran": ({"started": Anchor(NOW - 700, 431.0)}, "untrusted", NOW),
    "the wall clock jumped back while it ran": ({"started": Anchor(NOW - 500, 431.0)}, "untrusted", NOW),
    "the wall clock was slewed by half a minute": ({"started": Anchor(NOW - 630, 400.0)}, "holdover", NOW),
    "a document from the future raised the floor": (SIGNED | {"floor_s": NOW + 60}, "untrusted", NOW + 60),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_clock_is_judged(moment: str) -> None:
    change, source, now_s = MOMENTS[moment]
    reading = read(**(BASE | change))
    assert (reading.source, reading.now_s) == (source, now_s)
    assert reading.trusted == (source != "untrusted")
    assert bool(reading.reason) == (not reading.trusted)
    assert reading.offset_s == now_s - (BASE | change)["wall_s"]


times = st.integers(0, 2 * NOW)


@given(times, st.none() | times, times, times, st.integers(0, 10**7))
def test_no_reading_lies_before_the_floor_and_none_without_a_signed_time_is_trusted(
    wall: int, last_signed: int | None, floor: int, recorded: int, ran_s: int
) -> None:
    reading = read(
        wall,
        float(ran_s),
        anchor=None,
        started=Anchor(max(0, wall - ran_s), 0.0),
        floor_s=floor,
        recorded_s=recorded,
        last_signed_s=last_signed,
        holdover_max_s=DAY,
    )
    assert reading.now_s >= floor
    if reading.trusted:
        assert last_signed is not None and reading.now_s >= recorded
        assert wall - last_signed <= DAY


@pytest.mark.parametrize(("took_s", "believed"), [(0, True), (5, True), (5.1, False), (-1, False)])
def test_a_signed_time_counts_only_if_it_came_quickly(took_s: float, believed: bool) -> None:
    anchor = accept_signed(NOW, sent_monotonic_s=100.0, received_monotonic_s=100.0 + took_s)
    assert anchor == (Anchor(NOW, 100.0 + took_s) if believed else None)


@pytest.mark.parametrize(
    ("floor", "candidate", "fresh", "becomes"),
    [
        (NOW, NOW - 1, False, NOW),
        (NOW, NOW + DAY, False, NOW + DAY),
        (NOW, NOW + 8 * DAY, False, NOW),
        (NOW, NOW + 8 * DAY, True, NOW + 8 * DAY),
        (0, NOW, False, NOW),
    ],
)
def test_one_document_from_the_future_does_not_poison_the_floor(
    floor: int, candidate: int, fresh: bool, becomes: int
) -> None:
    assert raise_floor(floor, candidate, fresh_signed=fresh, forward_jump_max_s=7 * DAY) == becomes
