"""A decision follows again from its own record, bit for bit, and a record that was changed says otherwise."""

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.decision import Decision, decide
from agent.core.journal import Draft, Entry, Head, Kind, open_entry, seal
from agent.core.policy import Policy
from agent.core.replay import explained, replay
from agent.core.situation import FIELDS, KEPT, TOLD_BY_ENTRY, VOCABULARY, Situation, SituationError, situation_of
from tests.core.situations import NOW, POLICY, an_ordinary_sale, situations, usually

IN_ORDER = (
    "clock_trusted clock_minute_of_day clock_at_s pass_tier pass_user_verified pass_cap_minor probe_draw "
    "snapshot_policy_version_min snapshot_age_s snapshot_soft_age_s snapshot_hard_age_s account_known account_removed "
    "account_blocked account_tier account_step_up_always account_purpose_bound travel_known travel_km travel_elapsed_s "
    "lease_minor lease_reserved_minor lease_left_s account_count account_cumulative_minor lane_count "
    "lane_cumulative_minor cap_count cap_cumulative_minor velocity_count velocity_minor account_round_count "
    "account_near_limit_count lane_same_amount_count account_refund_count account_refund_minor"
)
"""Vocabulary 1. Another order or another name is another vocabulary: give it the next number."""


def entry_of(decided_in: Situation, decision: Decision, **changes: Any) -> Entry:
    """The entry of a decision, as it is read back from its bytes."""
    body = explained(decision) | {
        "amount_minor": decided_in.sale_amount_minor,
        "currency": decided_in.sale_currency,
        "category": decided_in.sale_merchant_category,
        "situation": decided_in.kept(),
    }
    kind = Kind.AUTHORIZATION if decision.approved else Kind.DECLINE
    draft = Draft(kind, body | changes, decided_in.lender, "sale-0001", 1)
    sealed = seal(draft, Head("lane-01", 1), recorded_at=NOW, clock=(True, 0), lease_horizon=NOW)
    return open_entry(sealed.data).entry


@given(situations, usually(POLICY, None))
def test_a_stored_decision_follows_again_bit_for_bit(situation: Situation, policy: Policy | None) -> None:
    decision = decide(situation, policy)
    again = replay(entry_of(situation, decision), policy)
    assert again is not None and again.differs == ()
    assert repr((again.situation, again.decision)) == repr((situation, decision))


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"reason": "approved_online"}, ("reason",)),
        ({"response_code": "61"}, ("response_code",)),
        ({"rules": [["floor-limit", "decline", "fired"]]}, ("rules",)),
        ({"policy_version": 6}, ("policy_version",)),
        ({"funding": "cap"}, ("funding",)),
        ({"funding": None}, ("funding",)),
        ({"situation": an_ordinary_sale(lease_minor=0).kept()}, ("response_code", "reason", "rules", "approved")),
    ],
)
def test_a_record_that_says_something_else_is_found(changes: dict[str, Any], differs: tuple[str, ...]) -> None:
    situation = an_ordinary_sale()
    again = replay(entry_of(situation, decide(situation, POLICY), **changes), POLICY)
    assert again is not None and again.differs == differs


def test_a_decline_for_which_no_rule_was_asked_is_not_replayed() -> None:
    situation = an_ordinary_sale()
    assert replay(entry_of(situation, decide(situation, POLICY), situation=None), POLICY) is None


HOSTILE: list[Any] = [
    [], {}, 1, "x", [VOCABULARY], [VOCABULARY + 1, *range(36)], [VOCABULARY, *range(36)], ["1", 2],
    [VOCABULARY, *[None] * len(KEPT)], [VOCABULARY, *["x"] * len(KEPT)],
]  # fmt: skip


@pytest.mark.parametrize("kept", HOSTILE, ids=repr)
def test_what_is_no_situation_of_this_vocabulary_is_never_misread(kept: Any) -> None:
    situation = an_ordinary_sale()
    with pytest.raises(SituationError):
        situation_of(entry_of(situation, decide(situation, POLICY), situation=kept))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_reading_a_situation_raises_nothing_else(kept: Any) -> None:
    entry = entry_of(an_ordinary_sale(), decide(an_ordinary_sale(), POLICY))
    body = dict(entry.body) | {"situation": kept}
    with contextlib.suppress(SituationError):
        situation_of(replace(entry, body=body))


def test_the_order_of_the_vocabulary_is_fixed_by_its_number() -> None:
    assert (VOCABULARY, " ".join(KEPT)) == (1, IN_ORDER)
    assert {*KEPT, *TOLD_BY_ENTRY} == set(FIELDS)


def test_a_situation_makes_an_entry_modestly_longer() -> None:
    situation = an_ordinary_sale()
    with_it = entry_of(situation, decide(situation, POLICY)).encode()
    without = entry_of(situation, decide(situation, POLICY), situation=None).encode()
    assert len(with_it) - len(without) < 100
