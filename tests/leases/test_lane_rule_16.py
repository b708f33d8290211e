"""Several lenders at one lane (lease rules 14 and 16): what one of them says or does is never another's.

Both lenders have an account of the same token here, so whatever forgets the lender in a key mixes them up.
"""

from collections.abc import Callable
from typing import Any

import pytest

from agent.core.journal import Kind
from tests.leases.test_lane_rules import sell
from tests.services.lanes import CUSTOMER, DAY_S, LENDER, NOW_S, PaperLender, Till, key, order
from tests.uplink.world import run

Opened = Callable[..., Till]
OTHER = "otherlend"


@pytest.fixture
def two(opened: Opened) -> Till:
    """Each lender has leased 100 of its own account to this lane, both under one token."""
    return opened(grants={CUSTOMER: 100}, others=[PaperLender(OTHER)], valid_s=3_600)


def buy(till: Till, lender: str, minor: int, *, at: int | None = None) -> Any:
    name = f"sale-{len(till.entries()):04}"
    return run(till.checkout.sell(order(name, minor), till.phone(lender=lender).code(at=at)))


def test_rule_16_a_spend_at_one_lender_leaves_the_lease_of_another_whole(two: Till) -> None:
    assert buy(two, LENDER, 100).reason == "approved_offline"
    assert buy(two, LENDER, 1).response_code != "00"
    assert buy(two, OTHER, 100).reason == "approved_offline"


def test_rule_16_a_proof_is_consumed_at_its_own_lender(two: Till) -> None:
    """The token is the same, and the number of the proof too: shown at one, it is not worn out at the other."""
    code = two.phone().code()
    two._codes = iter([0, 1, 2])  # type: ignore[assignment]
    other = two.phone(lender=OTHER).code()
    assert run(two.checkout.sell(order("sale-0001", 10), code)).reason == "approved_offline"
    assert run(two.checkout.sell(order("sale-0002", 10), other)).reason == "approved_offline"
    assert run(two.checkout.sell(order("sale-0003", 10), other)).reason == "proof_replayed"


def test_rule_14_a_lender_whose_time_is_in_the_future_lapses_its_own_leases_only(two: Till) -> None:
    """The other lender signs a time 30 days ahead; with one horizon for all, its next sale would end our leases too."""
    other = two.others[0]
    assert two.tell_time(NOW_S + 30 * DAY_S, lender=other)
    assert buy(two, OTHER, 10, at=NOW_S + 30 * DAY_S).response_code != "00"
    assert two.ledger.head.horizon_of(OTHER) == NOW_S + 30 * DAY_S
    assert two.ledger.head.horizon_of(LENDER) == NOW_S
    assert sell(two, 100).reason == "approved_offline"


def test_rule_14_a_restart_does_not_judge_one_lenders_clock_by_the_others_entries(two: Till) -> None:
    other = two.others[0]
    two.tell_time(NOW_S + 30 * DAY_S, lender=other)
    buy(two, OTHER, 10, at=NOW_S + 30 * DAY_S)
    two.restart()
    assert two.lane.clock.read(LENDER).trusted, "the wall clock is not behind anything that this lender's entries say"
    assert not two.lane.clock.read(OTHER).trusted
    assert sell(two, 100).reason == "approved_offline"


def test_rule_1_every_entry_swears_by_its_own_lenders_time_and_one_of_no_lender_by_none(two: Till) -> None:
    two.tell_time(NOW_S + 60, lender=two.others[0])
    buy(two, OTHER, 10, at=NOW_S + 60)
    sell(two, 10)
    decided = two.entries(Kind.AUTHORIZATION, Kind.DECLINE)
    said = {(sealed.entry.lender, sealed.entry.lease_horizon) for sealed in decided}
    assert said == {(OTHER, NOW_S + 60), (LENDER, NOW_S)}
    assert [sealed.entry.lease_horizon for sealed in two.entries(Kind.EPOCH_START)] == [0]


def test_rule_16_a_lender_without_a_usable_policy_ends_standing_in_for_itself_alone(opened: Opened) -> None:
    till = opened(grants={CUSTOMER: 100}, others=[PaperLender(OTHER)])
    till.lane.lenders.install_policy(OTHER, till.others[0].policy(2, expires_at=NOW_S + 60))
    till.clock.pass_time(61)
    assert buy(till, OTHER, 10).reason == "policy_expired"
    assert buy(till, LENDER, 10).reason == "approved_offline"


def test_rule_16_a_lender_whose_keys_have_expired_ends_standing_in_for_itself_alone(opened: Opened) -> None:
    till = opened(grants={CUSTOMER: 100}, others=[PaperLender(OTHER)])
    till.lane.lenders.install_keys(OTHER, till.others[0].key_list(2, until_s=NOW_S + 60))
    till.clock.pass_time(61)
    assert buy(till, OTHER, 10).response_code != "00"
    assert buy(till, LENDER, 10).reason == "approved_offline"


def test_rule_16_a_pass_of_a_lender_that_is_not_served_here_is_refused_with_a_sentence(two: Till) -> None:
    refused = buy(two, "stranger", 10)
    assert (refused.response_code, refused.reason) == ("14", "pass.unknown_lender")
    assert key("stranger")  # it signed its pass as well as any lender does


def test_rule_16_each_lender_closes_a_batch_of_its_own(two: Till) -> None:
    buy(two, LENDER, 10), buy(two, OTHER, 20), buy(two, OTHER, 30)
    ours, theirs = run(two.lane.settlement.close_day(LENDER)), run(two.lane.settlement.close_day(OTHER))
    assert ours and theirs
    assert (ours.totals["approved"]["count"], ours.totals["approved"]["minor"]) == (1, 10)
    assert (theirs.totals["approved"]["count"], theirs.totals["approved"]["minor"]) == (2, 50)
    assert (ours.batch, theirs.batch) == (1, 1)
