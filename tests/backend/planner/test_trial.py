"""The trial: the goal of the planner, and that the yardstick itself is straight."""

from itertools import pairwise

import pytest

from backend.planner import outages
from backend.planner import trial as trials
from backend.planner.outages import Outage
from backend.planner.policy import Seen
from backend.planner.rules import DAY_S, Rules
from backend.planner.trial import Person, Trial

RULES = Rules()
SMALL = trials.set_up(3, accounts=800, stores=6, lanes=24, history_d=RULES.history_d, days=14)


def one(limit_minor: int, *sales: tuple[int, int]) -> Trial:
    """A person whose lane is cut off for the whole trial, with sales (hours after it began, minor units)."""
    town = SMALL.town[:1]
    lane = town[0].lanes[0]
    began_s = SMALL.plans_at[0]
    visits = [Seen(began_s + hours * 3600, lane, minor) for hours, minor in sales]
    cut_off = {each: [Outage(began_s, began_s + 20 * DAY_S)] for each in town[0].lanes}
    return Trial([Person(limit_minor, visits)], town, cut_off, SMALL.plans_at)


def test_a_lease_is_spent_once_in_an_outage_and_a_sale_above_the_rest_is_not_covered_at_all() -> None:
    trial = one(100_000, (1, 6_000), (60, 5_000), (70, 4_000))
    lane = trial.town[0].lanes[0]
    score = trials.try_out(trial, lambda _who: [{lane: 10_000}] * len(trial.plans_at))
    assert score.everybody == 10_000 * 1000 // 15_000
    assert score.tied == 100


def test_the_lease_of_an_outage_is_the_one_that_its_beginning_found() -> None:
    trial = one(100_000, (60, 5_000))
    lane = trial.town[0].lanes[0]
    later = [{}, *[{lane: 10_000}] * (len(trial.plans_at) - 1)]
    assert trials.try_out(trial, lambda _who: later).everybody == 0


def test_the_oracle_covers_everything_with_next_to_nothing() -> None:
    score = trials.try_out(SMALL, trials.oracle(SMALL))
    assert score.everybody == score.regulars == 1000
    assert score.tied < 10


def test_a_trial_is_the_same_again() -> None:
    again = trials.set_up(3, accounts=800, stores=6, lanes=24, history_d=RULES.history_d, days=14)
    assert trials.try_out(again, trials.planner(again, RULES)) == trials.try_out(SMALL, trials.planner(SMALL, RULES))


def test_outages_of_a_lane_never_touch_and_a_store_fails_as_a_whole() -> None:
    for lane, found in SMALL.outages.items():
        assert all(before.to_s < after.from_s for before, after in pairwise(found)), lane
        assert all(outages.at(found, each.from_s) == outages.at(found, each.to_s - 1) == each for each in found)
        assert all(outages.at(found, each.to_s) is None for each in found)
    moments = range(SMALL.plans_at[0], SMALL.ends_at, 3600)
    large = [[SMALL.outages[lane] for lane in store.lanes] for store in SMALL.town if len(store.lanes) >= 4]
    assert any(all(outages.at(lane, at_s) for lane in lanes) for lanes in large for at_s in moments)


def test_the_planner_covers_several_times_what_an_equal_split_of_as_much_credit_does() -> None:
    planned = trials.try_out(SMALL, trials.planner(SMALL, RULES))
    split = trials.try_out(SMALL, trials.equal_split(SMALL, RULES, planned.tied))
    assert planned.regulars > 3 * split.regulars
    assert 2 * planned.everybody > 3 * split.everybody


@pytest.mark.proof
@pytest.mark.parametrize(("seed", "stores", "lanes"), [(1, 40, 200), (2, 40, 200), (3, 6, 24)])
def test_nine_tenths_of_what_regulars_buy_offline_is_covered_with_15_percent_of_credit(
    seed: int, stores: int, lanes: int
) -> None:
    trial = trials.set_up(seed, accounts=2_500, stores=stores, lanes=lanes, history_d=RULES.history_d, days=28)
    score = trials.try_out(trial, trials.planner(trial, RULES))
    assert score.tied <= 150
    assert score.regulars >= 900
