"""The plan of one account: what it promises whatever the visits were."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.planner import grades, habits
from backend.planner.habits import Habits
from backend.planner.policy import Plan, Seen, plan
from backend.planner.rules import DAY_S, Rules

NOW_S = 1_770_000_000
LIMIT_MINOR = 300_000
RULES = Rules()


def everybody() -> Habits:
    """Baskets of a median of 68.00, as the town of people who never lived buys."""
    chance = Random(5)
    found = habits.learn([[round(6_800 * chance.lognormvariate(0, 0.8)) for _ in range(10)] for _ in range(300)])
    assert found is not None
    return found


HABITS = everybody()


def seen(lane: str, times: int, amount_minor: int = 6_800, *, last_d: int = 1) -> list[Seen]:
    """Visits on as many days, the last of them ``last_d`` days ago."""
    return [Seen(NOW_S - (last_d + day) * DAY_S, lane, amount_minor) for day in range(times)]


def planned(visits: Sequence[Seen], free_minor: int = LIMIT_MINOR, rules: Rules = RULES, **before: int) -> Plan:
    return plan(visits, free_minor, rules, HABITS, before=before, now_s=NOW_S)


VISITS = st.lists(
    st.builds(
        Seen, st.integers(NOW_S - RULES.history_s, NOW_S - 1), st.sampled_from("ABCDE"), st.integers(1, 1_000_000)
    ),
    max_size=60,
)
BEFORE = st.dictionaries(st.sampled_from("ABCDEF"), st.integers(1, 120_000))


@given(VISITS, st.integers(-50_000, 5_000_000), BEFORE, st.integers(0, 100))
def test_no_plan_leases_more_than_the_capped_share_of_what_is_free(
    visits: list[Seen], free_minor: int, before: Plan, percent: int
) -> None:
    rules = Rules(leased_max_percent=percent)
    found = plan(visits, free_minor, rules, HABITS, before=before, now_s=NOW_S)
    assert sum(found.values()) <= max(0, free_minor) * percent // 100
    assert all(0 < minor <= rules.grant_max_minor for minor in found.values())
    assert set(found) <= {visit.lane for visit in visits}


@given(VISITS, st.integers(0, 5_000_000), BEFORE, st.randoms(use_true_random=False))
def test_the_order_in_which_visits_are_read_changes_nothing(
    visits: list[Seen], free_minor: int, before: Plan, chance: Random
) -> None:
    shuffled = chance.sample(visits, len(visits))
    first, second = (plan(each, free_minor, RULES, HABITS, before=before, now_s=NOW_S) for each in (visits, shuffled))
    assert first == second


@given(VISITS, st.integers(0, 5_000_000))
def test_the_same_visits_planned_again_leave_the_plan_as_it_is(visits: list[Seen], free_minor: int) -> None:
    first = planned(visits, free_minor)
    assert planned(visits, free_minor, **first) == first


def test_a_regular_is_leased_more_than_a_typical_basket_and_far_less_than_the_credit() -> None:
    [(lane, minor)] = planned(seen("A", 8)).items()
    assert lane == "A"
    assert 15_000 <= minor <= 60_000


def test_larger_baskets_get_larger_leases() -> None:
    small, large = planned(seen("A", 12, 3_000))["A"], planned(seen("A", 12, 20_000))["A"]
    assert small < large


def test_the_lane_that_is_visited_more_comes_first_when_credit_is_short() -> None:
    found = planned([*seen("rare", 4), *seen("often", 14)], 30_000)
    assert found["often"] == max(found.values())
    assert "rare" not in found or found["rare"] <= found["often"]


@pytest.mark.parametrize(
    ("times", "held", "is_leased"), [(3, 0, False), (4, 0, True), (2, 40_000, True), (1, 40_000, False)]
)
def test_a_lease_is_easier_to_keep_than_to_get(times: int, held: int, is_leased: bool) -> None:
    assert bool(planned(seen("A", times), **({"A": held} if held else {}))) is is_leased


def test_a_lease_is_given_up_where_nobody_came_for_the_holding_time() -> None:
    assert planned(seen("A", 6, last_d=RULES.holding_d - 1))
    assert not planned(seen("A", 6, last_d=RULES.holding_d + 1))


def test_a_lease_stays_as_it_is_when_habits_move_by_a_grade() -> None:
    fresh = planned(seen("A", 8))["A"]
    near, far = (grades.AMOUNTS_MINOR[grades.within(fresh) + by] for by in (1, 3))
    assert planned(seen("A", 8), A=near)["A"] == near
    assert planned(seen("A", 8), A=far)["A"] == fresh


def test_dearer_credit_is_leased_less() -> None:
    found = [
        sum(planned(seen("A", 8), rules=Rules(price_ppm=price)).values()) for price in (500, 3_000, 12_000, 400_000)
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[2]
    assert found[3] == 0


def test_an_account_without_free_credit_is_leased_nothing() -> None:
    assert planned(seen("A", 20), 0) == planned(seen("A", 20), -5_000) == {}


def test_a_lease_smaller_than_a_typical_basket_is_none() -> None:
    assert planned(seen("A", 20, 50_000), 10_000) == {}


def test_somebody_seen_once_is_taken_for_an_average_customer() -> None:
    average, one, many = HABITS.typical([]), HABITS.typical([1_000_000]), HABITS.typical([1_000_000] * 50)
    assert average <= one <= average + 3
    assert many >= average + 12


def test_nobody_has_habits_where_nobody_bought_anything() -> None:
    assert habits.learn([]) is None
    assert habits.learn([[], []]) is None


@given(st.integers(1, 8_000_000))
def test_every_amount_lies_between_neighbouring_grades(amount_minor: int) -> None:
    assert grades.AMOUNTS_MINOR[grades.covering(amount_minor)] >= amount_minor
    below = grades.within(amount_minor)
    assert below < 0 or grades.AMOUNTS_MINOR[below] <= amount_minor
    assert grades.covering(amount_minor) - below in (0, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"price_ppm": 0},
        {"history_d": 0},
        {"holding_d": 57},
        {"visits_min": 1},
        {"leased_max_percent": 101},
        {"grant_max_minor": -1},
    ],
)
def test_settings_that_make_no_sense_are_refused_in_a_sentence(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+ \w+"):
        Rules(**wrong)
