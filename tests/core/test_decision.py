"""The stand-in decision: what it guarantees, whatever the policy says; its totality; its answers one by one are in
tests/scenarios/decision.txt."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import texts
from agent.core.cel_rules import compile_rule
from agent.core.decision import APPROVED, RESPONSE_CODES, Decision, decide
from agent.core.derived import rule_values, shrunk_minor
from agent.core.money import MINOR_MAX
from agent.core.policy import Policy, parse_policy
from agent.core.policy_vocabulary import RULE_VARIABLES
from agent.core.situation import FIELDS, JUDGED_BEFORE_RULES, Situation
from tests.core.situations import DOCUMENT, HOUR, POLICY, an_ordinary_sale, situations, usually

AGAIN = parse_policy(POLICY.payload())
WITHOUT_RULES = parse_policy(DOCUMENT | {"rules": []})
FAILING = "sale_amount_minor / (lane_count - lane_count) > 0"  # division by zero, always
ERRING = compile_rule("erring", FAILING, RULE_VARIABLES)
TOTALS = tuple(name for name in FIELDS if name.endswith(("_count", "_cumulative_minor")))
policies = usually(POLICY, WITHOUT_RULES, None)


def decided(policy: Policy | None = POLICY, **changes: Any) -> Decision:
    return decide(an_ordinary_sale(**changes), policy)


def test_an_ordinary_sale_is_approved_and_fully_explained() -> None:
    assert decided() == Decision(
        approved=True,
        response_code="00",
        reason=APPROVED,
        fired=(),
        funding="lease",
        spend_minor=12_800,
        policy_version=7,
        snapshot_sequence=12,
        clock_source="signed",
        flags=(),
        go_online=False,
    )


@given(situations, usually(POLICY, None))
def test_the_same_input_gives_the_same_answer_bit_for_bit(situation: Situation, policy: Policy | None) -> None:
    assert repr(decide(situation, policy)) == repr(decide(replace(situation), policy and AGAIN))


@given(situations, policies)
def test_an_approval_is_always_funded_current_and_permitted(s: Situation, policy: Policy | None) -> None:
    decision = decide(s, policy)
    if not decision.approved:
        assert decision.spend_minor == 0 and decision.funding is None and decision.response_code != "00"
        return
    assert policy is not None
    assert decision.response_code == "00" and decision.spend_minor == s.sale_amount_minor
    assert s.clock_trusted and s.clock_at_s < policy.expires_at and policy.version >= s.snapshot_policy_version_min
    assert s.snapshot_sequence is not None and s.snapshot_age_s < s.snapshot_hard_age_s
    assert s.sale_currency == policy.currency and s.lender == policy.lender
    assert not (s.account_blocked or s.account_removed)
    if not s.account_known:
        assert decision.funding == "cap"
        assert s.sale_amount_minor <= min(s.pass_cap_minor, policy.limits.cap_minor_max)
        assert s.cap_cumulative_minor + s.sale_amount_minor <= policy.limits.cap_account_cumulative_minor
    else:
        assert decision.funding == "lease"
        assert s.sale_amount_minor <= s.lease_minor and s.lease_left_s > 0
        assert s.lease_reserved_minor == 0 or s.sale_amount_minor <= s.lease_reserved_minor


@given(situations, policies, st.lists(st.integers(0, 50_000), min_size=len(TOTALS), max_size=len(TOTALS)))
def test_more_exposure_never_turns_a_refusal_into_an_approval(
    s: Situation, policy: Policy | None, more: list[int]
) -> None:
    sold = {name: getattr(s, name) + extra for name, extra in zip(TOTALS, more, strict=True)}
    worse = replace(s, lease_minor=max(0, s.lease_minor - more[0]), **sold)
    assert decide(s, policy).approved or not decide(worse, policy).approved


@given(situations, policies, st.integers(0, 80 * HOUR))
def test_waiting_never_turns_a_refusal_into_an_approval(s: Situation, policy: Policy | None, waited_s: int) -> None:
    later = replace(
        s,
        clock_at_s=s.clock_at_s + waited_s,
        snapshot_age_s=s.snapshot_age_s + waited_s,
        lease_left_s=s.lease_left_s - waited_s,
    )
    assert decide(s, policy).approved or not decide(later, policy).approved


@given(situations, st.sets(st.sampled_from([rule["id"] for rule in DOCUMENT["rules"]]), min_size=1))
def test_a_rule_that_errs_never_approves_more(situation: Situation, broken: set[str]) -> None:
    rules = tuple(replace(rule, compiled=ERRING) if rule.id in broken else rule for rule in POLICY.rules)
    assert decide(situation, POLICY).approved or not decide(situation, replace(POLICY, rules=rules)).approved


def one_rule(effect: str, when: str = "sale_amount_minor > 0", code: str = "") -> Policy:
    return parse_policy(
        DOCUMENT
        | {"rules": [{"id": "it", "when": when, "effect": effect, "response_code": code, "reason": "some_text"}]}
    )


@pytest.mark.parametrize("when", ["sale_amount_minor > 0", FAILING])
@pytest.mark.parametrize(
    ("effect", "code", "approved", "go_online", "flags"),
    [
        ("decline", "59", False, False, ()),
        ("decline", "61", False, True, ()),
        ("refer", "05", False, True, ()),
        ("step_up", "1A", False, False, ()),
        ("go_online", "", True, True, ()),
        ("flag", "", True, False, ("it",)),
    ],
)
def test_each_effect_does_what_it_says_also_when_its_rule_errs(  # noqa: PLR0917  # a table's columns
    when: str, effect: str, code: str, approved: bool, go_online: bool, flags: tuple[str, ...]
) -> None:
    decision = decided(policy=one_rule(effect, when, code))
    assert (decision.approved, decision.go_online, decision.flags) == (approved, go_online, flags)
    assert decision.response_code == (code or "00")
    assert decision.reason == (APPROVED if approved else "some_text")
    assert [(fired.rule_id, fired.effect) for fired in decision.fired] == [("it", effect)]
    assert decision.fired[0].outcome == ("error" if when == FAILING else "fired")


def test_a_quiet_rule_leaves_no_trace() -> None:
    assert decided(policy=one_rule("decline", "sale_amount_minor > 12800", "61")).fired == ()


def test_nobody_is_asked_to_unlock_the_phone_for_a_sale_that_is_refused_anyway() -> None:
    decision = decided(sale_amount_minor=60_000, pass_user_verified=False)
    assert decision.reason == "lease_exceeded"
    assert [fired.rule_id for fired in decision.fired] == ["step-up", "account-amount-lower", "lease_exceeded"]


def test_a_debit_of_this_sale_is_all_that_a_stand_in_may_use() -> None:
    for reserved, approved in ((0, True), (12_799, False), (12_800, True), (50_000, True)):
        assert decided(lease_reserved_minor=reserved).approved is approved


@given(st.integers(0, MINOR_MAX), st.integers(0, 100), st.integers(0, 50), st.integers(1, 50))
def test_an_allowance_shrinks_from_soft_to_hard_age_and_never_grows(minor: int, age: int, soft: int, span: int) -> None:
    hard = soft + span
    value = shrunk_minor(minor, age, soft, hard)
    assert value == minor if age <= soft else 0 <= value <= minor
    assert value >= shrunk_minor(minor, age + 1, soft, hard)
    assert shrunk_minor(minor, hard, soft, hard) == 0
    if soft < age < hard:
        assert value * span <= minor * (hard - age) < (value + 1) * span  # rounded down, by less than one minor unit


def test_rules_see_the_situation_under_its_documented_names() -> None:
    situation = an_ordinary_sale(
        snapshot_age_s=50 * HOUR, snapshot_soft_age_s=30 * HOUR, snapshot_hard_age_s=70 * HOUR, lease_minor=40_000
    )
    values = rule_values(situation, POLICY)
    assert values.keys() >= RULE_VARIABLES.keys() and not RULE_VARIABLES.keys() & JUDGED_BEFORE_RULES
    assert values["lease_remaining_minor"] == 20_000, "of 400.00, half way from soft to hard age"
    assert values["floor_limit_minor"] == POLICY.floor_limits["5411"]
    assert {name: values[name] for name in FIELDS} == {name: getattr(situation, name) for name in FIELDS}
    for name, variable in RULE_VARIABLES.items():
        assert type(values[name]).__name__ == variable.kind, name


def test_every_reason_has_a_text_in_both_languages() -> None:
    reasons = RESPONSE_CODES.keys() | {rule["reason"] for rule in DOCUMENT["rules"]}
    for language in texts.LANGUAGES:
        assert not reasons - texts.catalogue(language)["reasons"].keys(), language
