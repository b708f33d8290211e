"""Plans in the books: what lanes are granted by them, and what the account's other promises make of that."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from backend import allowances
from backend.planner import plans
from backend.planner.rules import Rules
from backend.schema import Account, LeaseGrant, PlannedLease, Visit
from backend.snapshots import Plan
from tests.backend.books import books
from tests.backend.lanes import DAY_S, LENDER, START, Shop

__all__ = ["books"]

RULES = Rules()
LIMITS = (300_000, 300_000, 60_000, 300_000)
HOURS = 3600


@pytest.fixture
def shop(books: str) -> Iterator[Shop]:
    """Lanes A and B; the first customer is a regular of A, the second of B, the third of both, the last of none."""
    opened = Shop.open(books, *LIMITS)
    opened.backend = replace(opened.backend, plan=Plan(rules=RULES))
    for number, lanes in enumerate(("A", "B", "AB", "")):
        for lane in lanes:
            visit(opened, number, lane, days=range(1, 31, 3))
    yield opened
    assert opened.findings() == []
    opened.close()


def visit(shop: Shop, phone: int, lane: str, *, days: range, minor: int = 6_800) -> None:
    """Visits so many days ago, at a second of their own for each lane."""
    for day in days:
        Visit.create(
            account=shop.phones[phone].account,
            lender=LENDER,
            at_s=START - day * DAY_S - ord(lane),
            store="store-1",
            lane=lane,
            amount_minor=minor,
        )


def planned(shop: Shop, lane: str) -> dict[int, int]:
    """What the plan gives each customer at a lane, by number."""
    found = plans.amounts(lane, LENDER)
    return {number: found[phone.account] for number, phone in enumerate(shop.phones) if phone.account in found}


def granted(shop: Shop, lane: str) -> dict[int, int]:
    """What the lane, with all its layers installed, may spend of each customer that it knows."""
    shop.backend.refresh_snapshots()
    shop.lanes[lane].install()
    shop.lanes[lane].upload()
    return {
        number: shop.lanes[lane].remaining(phone.account)
        for number, phone in enumerate(shop.phones)
        if phone.account in shop.lanes[lane].records
    }


def test_a_lane_knows_its_regulars_and_nobody_else(shop: Shop) -> None:
    assert set(granted(shop, "A")) == {0, 2}
    assert set(granted(shop, "B")) == {1, 2}
    assert granted(shop, "A")[0] == planned(shop, "A")[0] > 6_800
    assert 3 not in planned(shop, "A")


def test_all_leases_together_leave_the_customer_the_share_that_is_never_leased(shop: Shop) -> None:
    for lane in "AB":
        granted(shop, lane)
    for phone, limit in zip(shop.phones, LIMITS, strict=True):
        promised = sum(allowances.outstanding_by_lane(LENDER, phone.account).values())
        assert promised <= limit * RULES.leased_max_percent // 100


def test_the_leased_share_is_capped_at_the_grant_whatever_the_plan_said(shop: Shop) -> None:
    """Interleaving: planned in the morning, then the customer bought for nearly all of the limit."""
    for lane in "AB":
        granted(shop, lane)
    Account.update(limit_minor=10_000, edition=Account.edition + 1).where(
        Account.token == shop.phones[0].account
    ).execute()
    assert granted(shop, "A")[0] == 8_000


def test_a_blocked_account_is_known_as_blocked_at_every_lane(shop: Shop) -> None:
    """Else a lane that does not know it would honour the cap of its pass."""
    granted(shop, "A")
    Account.update(blocked=True, edition=Account.edition + 1).where(Account.token == shop.phones[3].account).execute()
    assert granted(shop, "A")[3] == 0
    Account.update(blocked=False, edition=Account.edition + 1).where(Account.token == shop.phones[3].account).execute()
    shop.clock.now_s += DAY_S
    granted(shop, "A")
    shop.clock.now_s += DAY_S
    assert 3 not in granted(shop, "A")


def test_who_comes_no_more_is_first_leased_nothing_and_then_forgotten(shop: Shop) -> None:
    assert granted(shop, "A")[0] > 0
    Visit.delete().where(Visit.account == shop.phones[0].account).execute()
    seen = []
    for _ in range(5):
        shop.clock.now_s += DAY_S
        seen.append(granted(shop, "A").get(0))
    assert seen[0] == 0
    assert seen[-1] is None
    assert shop.account(shop.phones[0].account).outstanding_minor == 0
    assert not LeaseGrant.select().where(LeaseGrant.account == shop.phones[0].account).exists()


def test_a_new_regular_is_in_the_next_delta(shop: Shop) -> None:
    granted(shop, "A")
    visit(shop, 3, "A", days=range(1, 20, 2))
    shop.clock.now_s += 11 * HOURS
    assert 3 not in granted(shop, "A"), "a day is planned once"
    shop.clock.now_s = START + DAY_S
    assert granted(shop, "A")[3] > 0


def test_a_plan_is_the_same_however_often_it_is_begun_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    list(plans.tend(shop.backend.database, LENDER, RULES, now_s=START))
    whole = planned(shop, "A"), planned(shop, "B")
    assert list(plans.tend(shop.backend.database, LENDER, RULES, now_s=START)) == [], "today is planned"
    PlannedLease.delete().execute()
    monkeypatch.setattr(plans, "PIECE", 1)
    for _ in range(len(LIMITS) + 1):  # one step each, as if the server had been stopped after it
        next(plans.tend(shop.backend.database, LENDER, RULES, now_s=START + DAY_S // 3), 0)
        next(plans.tend(shop.backend.database, LENDER, RULES, now_s=START + DAY_S), 0)
    assert (planned(shop, "A"), planned(shop, "B")) == whole


def test_lanes_that_do_not_serve_are_not_planned_for(shop: Shop) -> None:
    Visit.update(lane="gone").where(Visit.lane == "B").execute()
    list(plans.tend(shop.backend.database, LENDER, RULES, now_s=START))
    assert set(planned(shop, "A")) == {0, 2}
    assert PlannedLease.select().where(PlannedLease.lane != "A").count() == 0


def test_a_backend_without_any_history_leases_nothing_and_serves_its_lanes(shop: Shop) -> None:
    Visit.delete().execute()
    assert granted(shop, "A") == {}
    assert planned(shop, "A") == {}


def test_sales_of_lanes_become_history(shop: Shop) -> None:
    lane, token = shop.lanes["A"], shop.phones[0].account
    granted(shop, "A")
    before = Visit.select().where(Visit.account == token).count()
    lane.stand_in(5_000, token=token)
    lane.upload()
    [newest] = Visit.select().where(Visit.account == token, Visit.at_s >= START)
    assert (newest.lane, newest.store, newest.amount_minor) == ("A", "store-1", 5_000)
    assert Visit.select().where(Visit.account == token).count() == before + 1


def test_a_customer_whom_the_base_left_out_may_use_the_cap_of_the_pass_again(shop: Shop) -> None:
    """The backend's own memory of an older grant must not turn the lane's honest answer into an exception."""
    token = shop.phones[0].account
    assert granted(shop, "A")[0] > 0
    lane = shop.lanes["A"]
    Visit.delete().where(Visit.account == token).execute()
    while 0 in granted(shop, "A"):
        assert allowances.has_record("A", lane.head.epoch, LENDER, token)
        shop.clock.now_s += DAY_S // 2
    assert not allowances.has_record("A", lane.head.epoch, LENDER, token)
