"""An explained decision names everything that was asked, in its order, and says of each what it really said."""

import re
from typing import Any

import pytest
from hypothesis import given

from agent.core.decision import APPROVED, RESPONSE_CODES, decide
from agent.core.explanation import CAP, LEASE, STATE, Check, checks, explain
from agent.core.policy import Policy
from agent.core.situation import Situation
from tests.core.situations import POLICY, an_ordinary_sale, situations, usually
from tests.core.test_replay import entry_of


def asked(situation: Situation, policy: Policy | None = POLICY) -> list[Check]:
    return list(checks(situation, policy, decide(situation, policy)))


def holds(check: Check) -> bool:
    """The condition as it is shown, worked out from the values as they are shown."""
    words = {"&&": " and ", "||": " or ", "null": "None", "true": "True", "false": "False", "!": " not "}
    python = re.sub(r"&&|\|\||\bnull\b|\btrue\b|\bfalse\b|!(?!=)", lambda word: words[word[0]], check.when)
    return bool(eval(python, {"__builtins__": {}}, dict(check.values)))


def test_every_reason_of_the_lane_is_a_check() -> None:
    assert {row.reason for row in (*STATE, *LEASE, *CAP)} == RESPONSE_CODES.keys() - {APPROVED}


@given(situations, usually(POLICY, None))
def test_the_answer_is_that_of_one_check_or_of_none_if_approved(situation: Situation, policy: Policy | None) -> None:
    decision, found = decide(situation, policy), asked(situation, policy)
    answers = [(check.reason, check.response_code, check.said) for check in found if check.answered]
    said = "fired" if decision.approved else answers[0][2]
    assert answers == ([] if decision.approved else [(decision.reason, decision.response_code, said)])
    assert said in ("fired", "error")


@given(situations, usually(POLICY, None))
def test_a_check_says_what_its_condition_gives_for_its_values(situation: Situation, policy: Policy | None) -> None:
    for check in asked(situation, policy):
        assert check.said == "not_asked" or holds(check) == (check.said == "fired"), check


@given(situations, usually(POLICY, None))
def test_what_is_asked_ends_with_the_answer_of_a_check_that_no_policy_switches_off(
    situation: Situation, policy: Policy | None
) -> None:
    found = asked(situation, policy)
    last = next((at for at, check in enumerate(found) if check.answered and check.effect == "always"), len(found))
    assert {check.said for check in found[last + 1 :]} <= {"not_asked"}


@given(situations, usually(POLICY, None))
def test_nothing_is_said_twice(situation: Situation, policy: Policy | None) -> None:
    reasons = [check.reason for check in asked(situation, policy) if check.effect == "always"]
    assert len(reasons) == len(set(reasons))


SITUATIONS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "an ordinary sale": ({}, "", []),
    "an untrusted clock": ({"clock_trusted": False}, "clock_untrusted", ["clock_untrusted"]),
    "above the floor, and blocked besides": (
        {"sale_amount_minor": 80_000, "account_blocked": True},
        "account_blocked",
        ["account_blocked"],
    ),
    "a lease that is too small, and a phone that is locked": (
        {"sale_amount_minor": 50_001, "pass_user_verified": False},
        "lease_exceeded",
        ["step-up", "account-amount-lower", "lease_exceeded"],
    ),
    "a cap that is too small": ({"account_known": False, "pass_cap_minor": 1}, "cap_exceeded", ["cap_exceeded"]),
    "an unknown account whose pass has no cap": (
        {"account_known": False, "pass_cap_minor": 0},
        "no_record",
        ["no_record"],
    ),
    "a removed account has no cap": ({"account_removed": True}, "no_record", ["no_record"]),
}


@pytest.mark.parametrize("what", SITUATIONS)
def test_what_spoke_and_what_answered(what: str) -> None:
    changes, answer, spoke = SITUATIONS[what]
    found = asked(an_ordinary_sale(**changes))
    assert [check.id for check in found if check.answered] == ([answer] if answer else [])
    assert set(spoke) <= {check.id for check in found if check.said == "fired"}


def test_limits_are_shown_as_they_were_for_this_category() -> None:
    (floor,) = [check for check in asked(an_ordinary_sale(sale_merchant_category="5814")) if check.id == "floor-limit"]
    assert floor.values == {"sale_amount_minor": 12_800, "floor_limit_minor": 30_000}


def test_an_entry_is_explained_by_its_own_record() -> None:
    situation = an_ordinary_sale(sale_amount_minor=80_000)
    explanation = explain(entry_of(situation, decide(situation, POLICY)), POLICY)
    assert explanation is not None and explanation.differs == ()
    assert [check.id for check in explanation.checks if check.answered] == ["floor-limit"]
    assert explain(entry_of(situation, decide(situation, POLICY), situation=None), POLICY) is None
