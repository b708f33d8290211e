"""A policy is complete, without fault and signed by the right key, or it is no policy."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import cbor, trust
from agent.core.cose import SigningKey
from agent.core.default_policy import default_policy
from agent.core.policy import PolicyError, parse_policy, sign_policy, verify_policy
from agent.core.policy_rules import RESPONSE_CODES
from agent.core.policy_vocabulary import LIMITS, RULE_VARIABLES, VARIABLES

NOW = 1_800_000_000
KEY = SigningKey.from_seed("ed25519", b"p" * 32)
SNAPSHOT_KEY = SigningKey.from_seed("ed25519", b"s" * 32)


def payload(**changes: Any) -> dict[str, Any]:
    return default_policy("demo", version=7, issued_at=NOW, expires_at=NOW + 86_400) | changes


def rule(**changes: Any) -> dict[str, Any]:
    sound = {
        "id": "r",
        "when": "account_count > 3",
        "effect": "decline",
        "response_code": "61",
        "reason": "floor_limit",
    }
    return {name: value for name, value in (sound | changes).items() if value is not None}


def key_list(lender: str = "demo", currency: str = "CNY") -> trust.KeyList:
    keys = ((KEY, trust.Role.POLICY), (SNAPSHOT_KEY, trust.Role.SNAPSHOT))
    entries = tuple(trust.KeyEntry(key.public.kid, key.public, role, NOW, NOW + 86_400) for key, role in keys)
    return trust.KeyList(lender, 1, NOW, NOW + 86_400, entries, currency)


def faults(document: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(PolicyError) as refused:
        parse_policy(document)
    return refused.value.faults


def test_the_default_policy_is_a_policy() -> None:
    policy = parse_policy(payload())
    assert policy.limits.proof_fresh_s == 60
    assert policy.limits.online_budget_ms == 1_500
    assert {"floor-limit", "step-up", "step-up-always", "account-amount-upper"} <= {rule.id for rule in policy.rules}


def test_a_policy_survives_signing_and_reading() -> None:
    policy = parse_policy(payload())
    assert verify_policy(sign_policy(policy, KEY), key_list(), at=NOW, version_min=7) == policy


def test_every_fault_is_listed_at_once() -> None:
    document = payload(
        version=True,
        currency="yuan",
        limits=payload()["limits"] | {"floor_limit_minor": -1, "proof_fresh_s": "60"},
        floor_limits={"54": 1, "5411": -5},
        rules=[rule(id="one", effect="ask"), rule(id="two", when="x > 1"), rule(id="three", response_code="00")],
    )
    del document["expires_at"]
    found = faults(document)
    for start in (
        "version: must be a whole number",
        "expires_at: is missing",
        "currency: currency must be three capital letters",
        "limits: floor_limit_minor: must be a whole number from 0",
        "limits: proof_fresh_s: must be a whole number from 10 to 300",
        "floor_limits: '54' is no category",
        "floor_limits: 5411: must be a whole number",
        "rules: one: effect: must be one of decline, refer, step_up, flag, go_online",
        "rules: two: when: unknown name 'x'",
        "rules: three: response_code: must be one of 05,",
    ):
        assert any(fault.startswith(start) for fault in found), (start, found)
    assert len(found) == 10


@pytest.mark.parametrize("name", sorted(payload()))
def test_every_field_is_needed(name: str) -> None:
    document = payload()
    del document[name]
    assert faults(document) == (f"{name}: is missing",)


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_every_limit_is_needed_and_bounded(name: str) -> None:
    limits = payload()["limits"]
    for value in (LIMITS[name].low - 1, LIMITS[name].high + 1, 1.0, None, True):
        assert faults(payload(limits=limits | {name: value}))[0].startswith(f"limits: {name}: must be a whole number")
    assert faults(payload(limits={key: limits[key] for key in limits if key != name})) == (
        f"limits: {name}: is missing",
    )


def test_a_lower_limit_is_not_above_its_upper_one() -> None:
    limits = payload()["limits"] | {"account_cumulative_lower_minor": 9, "account_cumulative_upper_minor": 8}
    assert faults(payload(limits=limits)) == (
        "limits: account_cumulative_lower_minor: is above account_cumulative_upper_minor",
    )


def test_a_policy_expires_after_it_was_issued() -> None:
    assert faults(payload(expires_at=NOW)) == ("expires_at: must be later than issued_at",)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (rule(id="Big"), "id: must be 1 to 40 of a-z 0-9 -"),
        (rule(id=None), "id: is missing"),
        (rule(when=None), "when: is missing"),
        (rule(when=5), "when: must be a text"),
        (rule(reason="No reason"), "reason: must be a text key"),
        (rule(effect="step_up", response_code="61"), "response_code: must be one of 1A"),
        (rule(effect="flag", response_code="61"), "response_code: must be one of"),
        (rule(response_code=None), "response_code: must be one of"),
        ("rule", "effect: is missing"),
    ],
)
def test_a_faulty_rule_is_named(broken: object, complaint: str) -> None:
    assert any(complaint in fault for fault in faults(payload(rules=[broken])))


def test_two_rules_never_share_an_id() -> None:
    assert faults(payload(rules=[rule(), rule()])) == ("rules: r: this id is given twice",)


def test_unknown_fields_are_ignored() -> None:
    newer = payload(plans=[1], rules=[rule(colour="red")], limits=payload()["limits"] | {"newer_limit_s": 5})
    assert parse_policy(newer).payload()["rules"] == [rule()]


def test_each_effect_answers_only_with_its_own_codes() -> None:
    for effect, codes in RESPONSE_CODES.items():
        for code in codes:
            parse_policy(payload(rules=[rule(effect=effect, response_code=code or None)]))


def test_every_rule_variable_is_documented_with_a_type_and_a_meaning() -> None:
    assert not VARIABLES.keys() & LIMITS.keys()
    for name, variable in RULE_VARIABLES.items():
        assert variable.meaning and type(variable.low) is type(variable.high), name


def test_a_category_has_its_own_floor_limit() -> None:
    policy = parse_policy(payload(floor_limits={"5411": 77}))
    assert policy.floor_limit_minor("5411") == 77
    assert policy.floor_limit_minor("5812") == policy.limits.floor_limit_minor


@pytest.mark.parametrize(
    ("key", "keys", "at", "version_min", "complaint"),
    [
        (SNAPSHOT_KEY, key_list(), NOW, 1, "signature"),
        (SigningKey.from_seed("p256", b"x" * 32), key_list(), NOW, 1, "signature"),
        (KEY, key_list(), NOW + 86_400, 1, "signature"),
        (KEY, key_list(lender="other"), NOW, 1, "signed by other in CNY"),
        (KEY, key_list(currency="USD"), NOW, 1, "signed by demo in USD"),
        (KEY, key_list(), NOW, 8, "version: 7 is older than 8"),
    ],
)
def test_a_policy_counts_only_from_its_lender_and_never_goes_backwards(
    key: SigningKey, keys: trust.KeyList, at: int, version_min: int, complaint: str
) -> None:
    with pytest.raises(PolicyError, match=complaint):
        verify_policy(sign_policy(parse_policy(payload()), key), keys, at=at, version_min=version_min)


def test_a_document_of_another_type_is_no_policy() -> None:
    with pytest.raises(PolicyError):
        verify_policy(trust.sign_document(payload(), KEY, "counterfoil-time"), key_list(), at=NOW)


@given(st.data())
def test_a_changed_byte_is_never_a_policy(data: st.DataObject) -> None:
    document = bytearray(SIGNED)
    at = data.draw(st.integers(0, len(document) - 1))
    document[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(PolicyError):
        verify_policy(bytes(document), key_list(), at=NOW)


SIGNED = sign_policy(parse_policy(payload()), KEY)

junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(payload())), junk)
def test_hostile_content_is_a_policy_error_or_a_policy(name: str, value: object) -> None:
    try:
        policy = parse_policy(payload(**{name: value}))
    except PolicyError as refused:
        assert refused.faults
    else:
        assert parse_policy(cbor.decode(cbor.encode(policy.payload()))) == policy  # type: ignore[arg-type]
