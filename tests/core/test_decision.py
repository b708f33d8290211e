"""The stand-in decision: what it guarantees, whatever the policy says; its totality; its answers one by one are in
tests/scenarios/decision.txt."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import texts
from agent.core.cose import SigningKey
from agent.core.credit_pass import Credential, CreditPass, Proof
from agent.core.decision import (
    APPROVED,
    RESPONSE_CODES,
    Clock,
    Decision,
    Exposure,
    LeaseView,
    Sale,
    SnapshotView,
    Totals,
    _Case,
    _values,
    decide,
    shrunk_minor,
)
from agent.core.default_policy import default_policy
from agent.core.money import MINOR_MAX, Money
from agent.core.policy import Policy, parse_policy
from agent.core.policy_vocabulary import RULE_VARIABLES, VARIABLES
from agent.core.snapshot_layer import Record

NOW = 1_800_000_000
HOUR = 3_600
ACCOUNT = b"account-token-16"
PHONE = SigningKey.from_seed("ed25519", b"f" * 32).public
DOCUMENT = default_policy("demo", version=7, issued_at=NOW - HOUR, expires_at=NOW + 24 * HOUR)
POLICY = parse_policy(DOCUMENT)
WITHOUT_RULES = parse_policy(DOCUMENT | {"rules": []})
FAILING = "sale_amount_minor / (lane_count - lane_count) > 0"  # division by zero, always
RECORD = Record(ACCOUNT, 50_000, NOW + HOUR, tier=2)


def a_pass(cap_minor: int = 8_000, tier: int = 2, verified: bool = True, lender: str = "demo") -> CreditPass:
    credential = Credential(lender, ACCOUNT, NOW - HOUR, NOW + HOUR, PHONE, cap_minor, tier)
    return CreditPass(credential, Proof(NOW, b"8 random", verified), b"kid8byte")


def a_case(**changes: Any) -> dict[str, Any]:
    """An ordinary sale of 128.00 that is approved by a lease of 500.00; `changes` replace whole arguments."""
    return {
        "sale": Sale("sale-0001", Money(12_800, "CNY"), "5411"),
        "credit_pass": a_pass(),
        "snapshot": SnapshotView(12, NOW - HOUR, 24 * HOUR, 72 * HOUR, RECORD),
        "exposure": Exposure(LeaseView(1, 50_000, NOW + HOUR)),
        "policy": POLICY,
        "clock": Clock(NOW, True, "signed"),
    } | changes


def decided(**changes: Any) -> Decision:
    return decide(**a_case(**changes))


def mostly(usual: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Rare values one time in ten: a case has many parts, and refusals must not drown the approvals."""
    return st.integers(0, 9).flatmap(lambda draw: usual if draw else rare)


def usually(usual: Any, *rare: Any) -> st.SearchStrategy[Any]:
    return mostly(st.just(usual), st.sampled_from(rare))


amounts = st.integers(0, 120_000)
totals = st.builds(Totals, mostly(st.integers(0, 3), st.integers(0, 1_001)), mostly(st.integers(0, 40_000), amounts))
moments = mostly(st.integers(NOW - 5, NOW + HOUR), st.integers(NOW, NOW + 80 * HOUR))
leases = st.builds(
    LeaseView, st.just(1), amounts, mostly(st.just(NOW + 2 * HOUR), moments), mostly(st.just(0), amounts)
)
records = st.builds(
    Record, st.just(ACCOUNT), amounts, st.just(NOW), st.integers(0, 7), *(usually(False, True) for _ in range(3))
)
cases = st.fixed_dictionaries(
    {
        "sale": st.builds(
            Sale,
            st.just("sale-0001"),
            st.builds(Money, st.integers(1, 10_000) | st.integers(1, 120_000), usually("CNY", "USD")),
            st.sampled_from(["5411", "5814", "0000"]),
        ),
        "credit_pass": st.builds(a_pass, amounts, st.integers(0, 7), st.booleans(), usually("demo", "other")),
        "snapshot": mostly(
            st.builds(
                SnapshotView,
                st.just(12),
                st.integers(NOW - 72 * HOUR, NOW + 5),
                st.just(24 * HOUR),
                st.just(72 * HOUR),
                st.one_of(records, records, st.none()),
                usually(0, 7, 8),
            ),
            st.none(),
        ),
        "exposure": st.builds(Exposure, mostly(leases, st.none()), totals, totals, totals),
        "policy": usually(POLICY, WITHOUT_RULES, None),
        "clock": st.builds(Clock, moments, usually(True, False), st.just("signed"), moments),
    }
)


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


@given(cases)
def test_the_same_input_gives_the_same_answer_bit_for_bit(case: dict[str, Any]) -> None:
    again = case | {"policy": case["policy"] and parse_policy(case["policy"].payload())}
    assert repr(decide(**case)) == repr(decide(**again))


@given(cases)
def test_an_approval_is_always_funded_current_and_permitted(case: dict[str, Any]) -> None:
    decision = decide(**case)
    if not decision.approved:
        assert decision.spend_minor == 0 and decision.funding is None and decision.response_code != "00"
        return
    snapshot, policy, clock, exposure = (case[name] for name in ("snapshot", "policy", "clock", "exposure"))
    at, amount = max(clock.now_s, clock.horizon_s), case["sale"].amount
    assert decision.response_code == "00" and decision.spend_minor == amount.minor
    assert clock.trusted and at < policy.expires_at and policy.version >= snapshot.policy_version_min
    assert at - snapshot.built_at < snapshot.hard_age_s
    assert amount.currency == policy.currency and case["credit_pass"].credential.lender == policy.lender
    if snapshot.record is None:
        assert decision.funding == "cap"
        assert amount.minor <= min(case["credit_pass"].credential.cap_minor, policy.limits.cap_minor_max)
        assert exposure.cap.amount_minor + amount.minor <= policy.limits.cap_account_cumulative_minor
    else:
        assert decision.funding == "lease"
        assert not (snapshot.record.blocked or snapshot.record.removed)
        assert amount.minor <= exposure.lease.remaining_minor and exposure.lease.valid_until_s > at
        assert exposure.lease.reserved_minor == 0 or amount.minor <= exposure.lease.reserved_minor


@given(cases, totals, totals, totals, st.integers(0, 50_000))
def test_more_exposure_never_turns_a_refusal_into_an_approval(
    case: dict[str, Any], account: Totals, lane: Totals, cap: Totals, spent: int
) -> None:
    before: Exposure = case["exposure"]
    more = Exposure(
        before.lease and replace(before.lease, remaining_minor=before.lease.remaining_minor - spent),
        *(
            Totals(old.count + new.count, old.amount_minor + new.amount_minor)
            for old, new in ((before.account, account), (before.lane, lane), (before.cap, cap))
        ),
    )
    assert decide(**case).approved or not decide(**case | {"exposure": more}).approved


@given(cases, st.integers(0, 80 * HOUR))
def test_waiting_never_turns_a_refusal_into_an_approval(case: dict[str, Any], waited_s: int) -> None:
    later = replace(case["clock"], now_s=case["clock"].now_s + waited_s)
    assert decide(**case).approved or not decide(**case | {"clock": later}).approved


@given(cases, st.sets(st.sampled_from([rule["id"] for rule in DOCUMENT["rules"]]), min_size=1))
def test_a_rule_that_errs_never_approves_more(case: dict[str, Any], broken: set[str]) -> None:
    rules = [rule | ({"when": FAILING} if rule["id"] in broken else {}) for rule in DOCUMENT["rules"]]
    case = case | {"policy": POLICY}
    assert (
        decide(**case).approved or not decide(**case | {"policy": parse_policy(DOCUMENT | {"rules": rules})}).approved
    )


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
    large = Sale("s", Money(60_000, "CNY"), "5411")
    decision = decided(sale=large, credit_pass=a_pass(verified=False))
    assert decision.reason == "lease_exceeded"
    assert [fired.rule_id for fired in decision.fired] == ["step-up", "account-amount-lower", "lease_exceeded"]


def test_a_debit_of_this_sale_is_all_that_a_stand_in_may_use() -> None:
    for reserved, approved in ((0, True), (12_799, False), (12_800, True), (50_000, True)):
        lease = LeaseView(1, 50_000, NOW + HOUR, reserved_minor=reserved)
        assert decided(exposure=Exposure(lease)).approved is approved


@given(st.integers(0, MINOR_MAX), st.integers(0, 100), st.integers(0, 50), st.integers(1, 50))
def test_an_allowance_shrinks_from_soft_to_hard_age_and_never_grows(minor: int, age: int, soft: int, span: int) -> None:
    hard = soft + span
    value = shrunk_minor(minor, age, soft, hard)
    assert value == minor if age <= soft else 0 <= value <= minor
    assert value >= shrunk_minor(minor, age + 1, soft, hard)
    assert shrunk_minor(minor, hard, soft, hard) == 0
    if soft < age < hard:
        assert value * span <= minor * (hard - age) < (value + 1) * span  # rounded down, by less than one minor unit


def test_the_horizon_ages_policy_and_snapshot_as_time_does() -> None:
    ahead = Clock(NOW, True, "holdover", horizon_s=NOW + 24 * HOUR)
    assert decided(clock=ahead).reason == "policy_expired"
    old = SnapshotView(12, NOW - 71 * HOUR, 24 * HOUR, 72 * HOUR, None)
    assert decided(snapshot=old).reason != "snapshot_age"
    assert decided(snapshot=old, clock=replace(ahead, horizon_s=NOW + HOUR)).reason == "snapshot_age"


def test_rules_see_the_situation_under_its_documented_names() -> None:
    layer = SnapshotView(12, NOW - 50 * HOUR, 30 * HOUR, 70 * HOUR, replace(RECORD, tier=4, step_up=True))
    exposure = Exposure(LeaseView(1, 40_000, NOW + HOUR), Totals(1, 11), Totals(2, 22), Totals(3, 33))
    values = _values(_Case(**a_case(snapshot=layer, exposure=exposure, clock=Clock(NOW, True, "holdover"))))
    assert {name: values[name] for name in VARIABLES} == {
        "sale_amount_minor": 12_800,
        "sale_merchant_category": "5411",
        "pass_tier": 2,
        "pass_user_verified": True,
        "pass_cap_minor": 8_000,
        "account_known": True,
        "account_tier": 4,
        "account_step_up_always": True,
        "account_count": 1,
        "account_cumulative_minor": 11,
        "lane_count": 2,
        "lane_cumulative_minor": 22,
        "cap_count": 3,
        "cap_cumulative_minor": 33,
        "lease_remaining_minor": 20_000,  # of 400.00, half way from soft to hard age
        "snapshot_age_s": 50 * HOUR,
        "snapshot_soft_age_s": 30 * HOUR,
        "snapshot_hard_age_s": 70 * HOUR,
        "clock_source": "holdover",
    }
    assert values["floor_limit_minor"] == POLICY.floor_limits["5411"]


def test_a_layer_from_the_future_is_new_not_younger_than_new() -> None:
    assert SnapshotView(12, NOW + 5, 1, 2, None).age_s(NOW) == 0


def test_rules_see_exactly_the_documented_variables() -> None:
    for record in (RECORD, None):
        case = a_case(snapshot=SnapshotView(12, NOW, 1, 2, record))
        values = _values(_Case(**case))
        assert values.keys() == RULE_VARIABLES.keys()
        for name, value in values.items():
            assert type(value).__name__ == RULE_VARIABLES[name].kind, name


def test_every_reason_has_a_text_in_both_languages() -> None:
    reasons = RESPONSE_CODES.keys() | {rule["reason"] for rule in DOCUMENT["rules"]}
    for language in texts.LANGUAGES:
        assert not reasons - texts.catalogue(language)["reasons"].keys(), language
