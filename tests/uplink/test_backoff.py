"""Pauses are drawn from the whole range, grow to the cap, and begin again after a success."""

import random

from hypothesis import given
from hypothesis import strategies as st

from agent.uplink.backoff import Backoff


@given(st.integers(0), st.floats(0.1, 600), st.integers(1, 2000))
def test_a_pause_is_never_negative_and_never_above_the_cap(seed: int, cap_s: float, attempts: int) -> None:
    backoff = Backoff(cap_s, random.Random(seed))
    assert all(0 <= backoff.next_s() <= cap_s for _ in range(attempts))


class Highest:
    """Draws the upper end, which shows the range."""

    def uniform(self, a: float, b: float, /) -> float:
        assert a == 0
        return b


def test_the_range_doubles_up_to_the_cap() -> None:
    backoff = Backoff(5, Highest(), base_s=0.5)
    assert [backoff.next_s() for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]


def test_a_success_makes_the_next_pause_short_again() -> None:
    backoff = Backoff(5, Highest(), base_s=0.5)
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 0.5


def test_lanes_that_failed_together_do_not_come_back_together() -> None:
    lanes = [Backoff(60, random.Random(seed)) for seed in range(200)]
    for lane in lanes:
        for _ in range(8):
            lane.next_s()
    pauses = sorted(lane.next_s() for lane in lanes)
    assert pauses[20] < 15  # full jitter: also the beginning of the range is used
    assert pauses[-20] > 45


@given(st.floats(0, 300))
def test_the_pause_that_the_backend_asks_for_is_kept(asked_s: float) -> None:
    assert Backoff(60, random.Random(1)).next_s(asked_s) >= asked_s
