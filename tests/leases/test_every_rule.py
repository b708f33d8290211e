"""Which test holds which lease rule, on which side: interleavings are told there, the rules in agent/core/leases.py.

A rule without a test on a side says why there is nothing to hold there.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LANE, BACKEND, BOTH = "lane", "backend", "both"

HELD = {
    (1, LANE): (
        "leases/test_lane_rules",
        "test_rule_1_a_lapsed_lease_is_not_spent_and_not_even_when_the_clock_goes_back",
    ),
    (1, BACKEND): (
        "leases/test_backend_rules",
        "test_rule_1_a_silent_lanes_lease_is_not_granted_again_however_late_it_is",
    ),
    (2, LANE): (
        "leases/test_lane_rules",
        "test_rule_2_an_installed_layer_is_told_to_the_backend_before_the_first_sale_uses_it",
    ),
    (2, BACKEND): (
        "leases/test_backend_rules",
        "test_rule_2_the_larger_of_two_snapshots_counts_until_the_lane_says_which_it_uses",
    ),
    (3, LANE): (
        "leases/test_lane_rules",
        "test_rule_3_the_number_of_the_layer_that_supplied_the_record_counts",
    ),
    (3, BACKEND): (
        "leases/test_backend_rules",
        "test_rule_3_an_entry_that_arrives_while_a_layer_is_cut_is_not_forgotten",
    ),
    (5, LANE): (
        "leases/test_lane_rules",
        "test_rule_5_a_time_out_stands_in_with_the_same_debit_and_a_second_sale_cannot_use_it",
    ),
    (5, BACKEND): (
        "leases/test_backend_rules",
        "test_rule_5_what_a_debit_did_not_use_is_not_granted_twice_between_intent_and_outcome",
    ),
    (6, LANE): (
        "leases/test_lane_rules",
        "test_rule_6_the_lanes_outcome_says_whether_the_backend_may_have_another",
    ),
    (6, BACKEND): (
        "leases/test_backend_rules",
        "test_rule_6_a_request_that_arrives_after_the_lanes_decision_is_declined",
    ),
    (7, LANE): (
        "leases/test_lane_rules",
        "test_rule_7_a_new_attempt_waits_until_the_outcome_of_the_last_is_known",
    ),
    (7, BACKEND): (
        "leases/test_backend_rules",
        "test_rule_7_no_second_approval_beside_one_that_stands",
    ),
    (8, LANE): (
        "leases/test_lane_rule_8",
        "test_rule_8_nothing_counts_as_given_back_that_is_not_durable",
    ),
    (8, BACKEND): (
        "leases/test_backend_rules",
        "test_rule_8_giving_back_is_ingested_before_it_is_granted_again",
    ),
    (8, BOTH): (
        "uplink/test_push",
        "test_a_recalled_lease_is_free_again_only_when_the_lane_s_entry_was_posted",
    ),
    (9, LANE): (
        "leases/test_lane_rules",
        "test_rule_9_a_reversal_under_a_closed_epoch_restores_nothing",
    ),
    (9, BACKEND): (
        "leases/test_backend_rules",
        "test_rule_9_what_the_lease_did_not_pay_goes_back_to_available",
    ),
    (10, BACKEND): (
        "leases/test_backend_rules",
        "test_rule_10_an_excess_is_shown_to_people_and_never_posted",
    ),
    (11, LANE): (
        "leases/test_lane_rule_11",
        "test_an_older_ledger_beside_its_witness_stands_in_for_nobody_not_even_after_a_restart",
    ),
    (11, BACKEND): (
        "leases/test_backend_rule_11",
        "test_the_new_epoch_has_its_own_leases_and_the_old_ones_stay_counted",
    ),
    (12, LANE): (
        "leases/test_lane_rule_12",
        "test_a_lease_of_the_device_before_is_not_spent",
    ),
    (12, BACKEND): (
        "leases/test_backend_rule_12",
        "test_a_replacement_starts_at_one_while_the_old_device_drains_what_it_has",
    ),
    (13, LANE): (
        "leases/test_lane_rule_13",
        "test_while_the_backend_recovers_a_sale_stands_in_at_once_and_the_breaker_stays_closed",
    ),
    (13, BACKEND): (
        "leases/test_forgotten_devices",
        "test_the_first_word_of_a_forgotten_lane_ends_all_granting",
    ),
    (14, LANE): (
        "leases/test_lane_rules",
        "test_rule_14_a_signed_time_of_another_question_or_another_lender_is_not_taken",
    ),
    (16, LANE): (
        "leases/test_lane_rule_16",
        "test_rule_16_a_spend_at_one_lender_leaves_the_lease_of_another_whole",
    ),
    (17, BACKEND): (
        "leases/test_backend_rule_17",
        "test_a_slip_is_posted_from_its_lanes_lease_and_only_once",
    ),
}
NOT_HERE = {
    (4, LANE): "leases that the lanes of a store share are not built yet",
    (4, BACKEND): "the same",
    (10, LANE): "a lane never spends more than its lease; that it cannot is rule 5",
    (14, BACKEND): "the backend's clock is the reference",
    (15, LANE): "what an account may have leased out is the planner's to bound",
    (15, BACKEND): "tests/backend/planner",
    (16, BACKEND): "leases/test_backend_rule_16, each case a lender beside another",
    (17, LANE): "services/test_slips and core/test_slip_claim: what the slip carries",
}


def test_every_rule_is_held_on_each_side_or_says_why_not() -> None:
    sides = {(rule, side) for rule in range(1, 18) for side in (LANE, BACKEND)}
    assert sides == (set(HELD) | set(NOT_HERE)) - {(8, BOTH)}
    assert not set(HELD) & set(NOT_HERE)


@pytest.mark.parametrize(("rule", "side"), HELD)
def test_the_test_that_holds_a_rule_exists(rule: int, side: str) -> None:
    file, name = HELD[rule, side]
    assert re.search(rf"^def {name}\(", (ROOT / "tests" / f"{file}.py").read_text(), re.MULTILINE), (file, name)
