"""The model of the town: what a planner may count on, measured over a few thousand customers."""

from collections import Counter
from math import hypot, log
from statistics import fmean, median, stdev

import pytest

from backend.population import customers, town
from backend.population.customers import DAY_S, TIME_ZONE_S, Customer, Visit, customer, intensity, visits

SEED = 7
TOWN = town.build(SEED, stores=20, lanes=90)
FIRST_DAY = 20_454  # Thursday, 2026-01-01
DAYS = 364
PEOPLE = [customer(SEED, number, TOWN) for number in range(1_500)]
MADE = [visits(SEED, number, who, TOWN, first_day=FIRST_DAY, days=DAYS) for number, who in enumerate(PEOPLE)]
ALL = [visit for made in MADE for visit in made]
STORES = {store.name: store for store in TOWN}


def day_of(visit: Visit) -> int:
    return (visit.at_s + TIME_ZONE_S) // DAY_S


def distance_km(who: Customer, store: str) -> float:
    return hypot(STORES[store].x_km - who.home_km[0], STORES[store].y_km - who.home_km[1])


def test_the_same_seed_gives_the_same_people_and_another_seed_others() -> None:
    assert [customer(SEED, number, town.build(SEED, stores=20, lanes=90)) for number in range(50)] == PEOPLE[:50]
    again = visits(SEED, 3, PEOPLE[3], TOWN, first_day=FIRST_DAY, days=DAYS)
    assert again == MADE[3]
    assert customer(SEED + 1, 0, TOWN).token != PEOPLE[0].token
    assert len({who.token for who in PEOPLE}) == len(PEOPLE)


def test_every_store_has_a_lane_and_the_lanes_add_up() -> None:
    assert sum(len(store.lanes) for store in TOWN) == 90
    assert min(len(store.lanes) for store in TOWN) >= 1
    names = [lane for store in TOWN for lane in store.lanes]
    assert len(set(names)) == 90
    larger = max(TOWN, key=lambda store: store.attraction)
    assert len(larger.lanes) == max(len(store.lanes) for store in TOWN)


@pytest.mark.parametrize(("stores", "lanes"), [(0, 0), (3, 2), (-1, 5)])
def test_a_town_without_a_store_or_a_store_without_a_lane_is_refused(stores: int, lanes: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        town.build(SEED, stores=stores, lanes=lanes)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 1.0, 1.0], [0.1, 5.0, 0.2], [3.0, 1.0]])
@pytest.mark.parametrize("total", [3, 4, 10, 101])
def test_lanes_are_shared_exactly(weights: list[float], total: int) -> None:
    counts = town.shares(total, weights)
    assert sum(counts) == total
    assert min(counts) >= 1


def test_limits_are_round_within_their_range_and_set_the_tier() -> None:
    limits = [who.limit_minor for who in PEOPLE]
    assert all(limit % customers.LIMIT_STEP_MINOR == 0 for limit in limits)
    assert customers.LIMIT_RANGE_MINOR[0] <= min(limits) <= max(limits) <= customers.LIMIT_RANGE_MINOR[1]
    assert abs(log(median(limits) / customers.LIMIT_MEDIAN_MINOR)) < 0.1
    assert {who.tier for who in PEOPLE} == {1, 2, 3}
    tiers = [who.tier for who in sorted(PEOPLE, key=lambda who: who.limit_minor)]
    assert tiers == sorted(tiers)


def test_people_shop_near_home() -> None:
    """Distance decay: the store most visited is nearer than stores are on the average."""
    first = fmean(distance_km(who, who.stores[0].name) for who in PEOPLE)
    any_store = fmean(distance_km(who, store.name) for who in PEOPLE for store in TOWN)
    assert first < 0.5 * any_store


def test_most_visits_are_at_regular_stores_and_the_first_of_them_leads() -> None:
    at = Counter[int]()
    for who, made in zip(PEOPLE, MADE, strict=True):
        names = [store.name for store in who.stores]
        at.update(names.index(visit.store) if visit.store in names else -1 for visit in made)
    assert at[0] / len(ALL) == pytest.approx(0.67, abs=0.04)
    assert 0.02 < at[-1] / len(ALL) < customers.EXPLORING


def test_the_home_lane_has_more_than_its_share() -> None:
    at_first = [
        (visit.lane == who.home_lanes[0], len(who.stores[0].lanes))
        for who, made in zip(PEOPLE, MADE, strict=True)
        for visit in made
        if visit.store == who.stores[0].name
    ]
    expected = fmean(customers.HOME_LANE + (1 - customers.HOME_LANE) / lanes for _, lanes in at_first)
    assert fmean(is_home for is_home, _ in at_first) == pytest.approx(expected, abs=0.03)


def test_every_lane_belongs_to_the_store_of_its_visit() -> None:
    assert all(visit.lane in STORES[visit.store].lanes for visit in ALL)


def test_the_week_has_its_rhythm() -> None:
    counted = Counter((day_of(visit) + 3) % 7 for visit in ALL)
    for weekday, weight in enumerate(customers.WEEK):
        assert counted[weekday] * 7 / len(ALL) == pytest.approx(weight, rel=0.08)


def test_the_weeks_before_spring_festival_are_the_busiest() -> None:
    counted = Counter((day_of(visit) - FIRST_DAY) // 91 for visit in ALL)
    assert counted[0] > 1.2 * counted[2]
    assert max(range(365), key=lambda day: fmean(intensity(FIRST_DAY + day + more) for more in range(7))) in range(
        15, 30
    )


def test_shops_are_open_from_seven_to_twenty_two_in_the_towns_own_time() -> None:
    hours = {(visit.at_s + TIME_ZONE_S) % DAY_S // 3600 for visit in ALL}
    assert hours == set(range(7, 22))


def test_baskets_are_log_normal() -> None:
    logs = [log(visit.amount_minor) for visit in ALL]
    assert abs(fmean(logs) - log(customers.BASKET_MEDIAN_MINOR)) < 0.05
    spread = hypot(customers.BASKET_SIGMA, customers.CUSTOMER_BASKET_SIGMA)
    assert stdev(logs) == pytest.approx(spread, rel=0.05)


def test_no_basket_is_above_its_customers_limit_or_without_an_amount() -> None:
    for who, made in zip(PEOPLE, MADE, strict=True):
        assert all(customers.BASKET_MIN_MINOR <= visit.amount_minor <= who.limit_minor for visit in made)


def test_visits_come_as_often_as_the_customer_does_and_in_order() -> None:
    expected = sum(who.visits_a_day for who in PEOPLE) * DAYS
    assert len(ALL) == pytest.approx(expected, rel=0.03)
    for made in MADE:
        times = [visit.at_s for visit in made]
        assert times == sorted(set(times))
        assert all(FIRST_DAY <= day_of(visit) < FIRST_DAY + DAYS for visit in made)
