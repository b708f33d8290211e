"""The arithmetic of leases: whatever the figures, used + held + outstanding stays within the limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.journal import Position
from agent.core.leases import (
    Counted,
    Grant,
    debit_for_intent,
    fund_online,
    grantable,
    is_spendable,
    live,
    outstanding,
    post_spend,
    remaining,
)

minor = st.integers(0, 10**9)
positive = st.integers(1, 10**9)
times = st.integers(0, 2**40)


def counted(sequence: int, granted: int, spent: int = 0, valid_until_s: int = 100) -> Counted:
    return Counted(Grant(sequence, granted, Position(1, 0), valid_until_s), spent)


@given(minor, st.integers(-(10**9), 10**9), minor)
def test_what_remains_is_never_negative_and_never_more_than_grant_and_returns(
    granted: int, spent: int, debits: int
) -> None:
    left = remaining(granted, spent, debits)
    assert 0 <= left <= max(0, granted - spent)
    assert left == 0 or left + spent + debits == granted


@given(minor, minor, minor, positive)
def test_rule_5_an_intent_takes_away_exactly_what_it_may_use(granted: int, spent: int, debits: int, sale: int) -> None:
    before = remaining(granted, spent, debits)
    debit = debit_for_intent(sale, before)
    assert debit <= min(sale, before)
    assert remaining(granted, spent, debits + debit) == before - debit


@given(times, times, times)
def test_rule_1_a_lease_that_the_horizon_has_passed_is_never_spent_again(valid: int, now: int, horizon: int) -> None:
    spendable = is_spendable(valid, now_s=now, horizon_s=horizon)
    assert spendable == (valid > now and valid > horizon)
    assert not is_spendable(valid, now_s=0, horizon_s=valid), "nor at the second itself, however early the clock says"


@given(positive, minor, minor, minor)
def test_rule_5_an_online_approval_never_raises_the_sum_above_the_limit(
    amount: int, available: int, debit: int, out: int
) -> None:
    funding = fund_online(amount, available_minor=available, debit_minor=debit, outstanding_minor=out)
    assert 0 <= funding.from_lease_minor <= min(amount, debit, out)
    if funding.approved:
        from_available = amount - funding.from_lease_minor
        assert from_available <= available


def test_rule_5_limit_and_lease_are_the_same_money() -> None:
    """limit = lease = 100: without the debit a wrong 51, with it exactly the sale."""
    assert not fund_online(30, available_minor=0, debit_minor=0, outstanding_minor=100).approved
    assert fund_online(30, available_minor=0, debit_minor=30, outstanding_minor=100).from_lease_minor == 30
    assert not fund_online(130, available_minor=29, debit_minor=100, outstanding_minor=100).approved


@given(st.integers(-(10**6), 10**9), st.integers(-(10**6), 10**9))
def test_rule_10_at_most_what_is_left_is_posted_and_nothing_is_dropped(delta: int, left: int) -> None:
    posting = post_spend(delta, left)
    assert posting.posted_minor + posting.excess_minor == delta
    assert posting.posted_minor <= max(0, left)
    assert delta < 0 or posting.excess_minor >= 0


GRANTS = [counted(7, 100), counted(8, 20), counted(9, 50)]


@pytest.mark.parametrize(
    ("installed", "horizon", "sequences"),
    [(7, 0, [7, 8, 9]), (8, 0, [8, 9]), (9, 0, [9]), (12, 0, [9]), (3, 0, [7, 8, 9]), (7, 99, [7, 8, 9]), (7, 100, [])],
)
def test_rule_2_grants_count_until_the_lane_has_said_that_it_left_them(
    installed: int, horizon: int, sequences: list[int]
) -> None:
    found = live(GRANTS, installed_sequence=installed, horizon_s=horizon)
    assert [each.grant.sequence for each in found] == sequences


@given(st.lists(st.tuples(minor, minor), max_size=5), st.integers(0, 6), minor)
def test_rule_2_outstanding_is_the_most_that_any_usable_grant_leaves(
    figures: list[tuple[int, int]], installed: int, online_use: int
) -> None:
    grants = live(
        [counted(number, *figure) for number, figure in enumerate(figures)], installed_sequence=installed, horizon_s=0
    )
    owed = outstanding(grants, online_use)
    assert owed >= 0
    for grant in grants:
        assert owed + online_use >= grant.left_minor


@given(minor, minor, minor, minor)
def test_a_grant_never_raises_the_sum_above_the_limit_and_never_goes_below_zero(
    limit: int, used: int, held: int, elsewhere: int
) -> None:
    grant = grantable(limit, used, held, elsewhere)
    assert grant == 0 or used + held + elsewhere + grant == limit
