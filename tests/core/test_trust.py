"""The trust chain: a root vouches for keys, each key signs in its role, in its time, and never an older list."""

from dataclasses import replace
from itertools import pairwise

import pytest

from agent.core import cbor, cose
from agent.core.cose import SigningKey
from agent.core.trust import (
    KEY_LIST_TYPE,
    KeyEntry,
    KeyList,
    Role,
    TrustError,
    root_of,
    sign_document,
    sign_key_list,
    sign_root_change,
    verify_document,
    verify_key_list,
)

ROOT, OTHER, THIRD, POLICY, CREDENTIAL, REVOKED = (
    SigningKey.from_seed("ed25519", bytes([n]) * 32) for n in range(1, 7)
)


def entry(key: SigningKey, role: Role, *, revoked: bool = False) -> KeyEntry:
    return KeyEntry(key.public.kid, key.public, role, nbf_at=1_000, exp_at=2_000, revoked=revoked)


KEYS = KeyList(
    lender="huabei",
    version=7,
    issued_at=900,
    expires_at=3_000,
    keys=(entry(POLICY, Role.POLICY), entry(CREDENTIAL, Role.CREDENTIAL), entry(REVOKED, Role.POLICY, revoked=True)),
    currency="CNY",
)


def reason_of(call: object, *args: object, **kwargs: object) -> str:
    with pytest.raises(TrustError) as refused:
        call(*args, **kwargs)  # type: ignore[operator]
    return refused.value.reason


def test_a_signed_list_is_read_back_as_it_was() -> None:
    assert verify_key_list(sign_key_list(KEYS, ROOT), ROOT.public, version_min=7) == KEYS


def test_an_older_list_never_replaces_a_newer() -> None:
    data = sign_key_list(KEYS, ROOT)
    assert reason_of(verify_key_list, data, ROOT.public, version_min=8) == "version_rolled_back"


def test_only_the_pinned_root_signs_a_list() -> None:
    data = sign_key_list(KEYS, OTHER)
    assert reason_of(verify_key_list, data, ROOT.public, version_min=0) == "bad_signature"


def test_a_list_signed_as_another_type_of_document_is_refused() -> None:
    payload = cose.parse1(sign_key_list(KEYS, ROOT)).payload
    data = cose.sign1(payload, ROOT, typ="counterfoil-policy")
    assert reason_of(verify_key_list, data, ROOT.public, version_min=0) == "bad_signature"


@pytest.mark.parametrize(
    "change",
    [
        {"lender": ""},
        {"lender": "x" * 17},
        {"lender": 5},
        {"version": True},
        {"version": -1},
        {"expires_at": 900},
        {"currency": "yuan"},
        {"aid": b"four"},
        {"keys": {}},
        {"keys": [5]},
        {"keys": [{}]},
        {"keys": ["twice"]},
        {"keys": ["role"]},
        {"keys": ["kid"]},
        {"keys": ["dates"]},
        {"keys": ["many"]},
    ],
    ids=str,
)
def test_a_list_that_says_something_impossible_is_malformed_even_when_the_root_signed_it(
    change: dict[str, object],
) -> None:
    fields = cbor.decode(cose.parse1(sign_key_list(KEYS, ROOT)).payload)
    assert isinstance(fields, dict)
    first = fields["keys"][0]  # type: ignore[index,call-overload]
    broken: dict[str, object] = {
        "twice": [first, {**first, "role": "credential"}],  # type: ignore[dict-item]
        "role": [{**first, "role": "root"}],  # type: ignore[dict-item]
        "kid": [{**first, "kid": bytes(8)}],  # type: ignore[dict-item]
        "dates": [{**first, "exp_at": 1_000}],  # type: ignore[dict-item]
        "many": [first] * 65,
    }
    if change.get("keys") and change["keys"][0] in list(broken):  # type: ignore[index]
        change = {"keys": broken[change["keys"][0]]}  # type: ignore[index]
    data = cose.sign1(cbor.encode({**fields, **change}), ROOT, typ=KEY_LIST_TYPE)
    assert reason_of(verify_key_list, data, ROOT.public, version_min=0) == "malformed"


def test_a_list_that_no_lane_would_take_is_not_signed() -> None:
    assert reason_of(sign_key_list, replace(KEYS, currency=""), ROOT) == "malformed"


@pytest.mark.parametrize(
    ("key", "role", "at", "reason"),
    [
        (OTHER, Role.POLICY, 1_500, "key_unknown"),
        (CREDENTIAL, Role.POLICY, 1_500, "key_wrong_role"),
        (POLICY, Role.CREDENTIAL, 1_500, "key_wrong_role"),
        (POLICY, Role.SNAPSHOT, 1_500, "key_wrong_role"),
        (REVOKED, Role.POLICY, 1_500, "key_revoked"),
        (POLICY, Role.POLICY, 999, "key_not_yet"),
        (POLICY, Role.POLICY, 2_000, "key_expired"),
        (POLICY, Role.POLICY, 3_000, "list_expired"),
    ],
)
def test_a_key_counts_only_in_its_role_and_its_time(key: SigningKey, role: Role, at: int, reason: str) -> None:
    assert reason_of(KEYS.find, key.public.kid, role, at) == reason
    document = sign_document({"a": 1}, key, "t")
    assert reason_of(verify_document, document, KEYS, role=role, typ="t", at=at) == reason


@pytest.mark.parametrize("at", [1_000, 1_999])
def test_a_document_is_read_while_its_key_is_valid(at: int) -> None:
    document = sign_document({"limit_minor": 5, "rules": [{"id": "r"}]}, POLICY, "counterfoil-policy")
    read = verify_document(document, KEYS, role="policy", typ="counterfoil-policy", at=at)
    assert read == {"limit_minor": 5, "rules": [{"id": "r"}]}


def test_a_document_of_another_type_without_key_id_or_content_is_refused() -> None:
    for document, reason in (
        (sign_document({}, POLICY, "counterfoil-snapshot"), "bad_signature"),
        (cose.sign1(cbor.encode({}), POLICY, typ="t"), "key_unknown"),
        (cose.sign1(cbor.encode([]), POLICY, kid=POLICY.public.kid, typ="t"), "malformed"),
        (cose.sign1(b"\xff", POLICY, kid=POLICY.public.kid, typ="t"), "malformed"),
        (b"junk", "malformed"),
    ):
        assert reason_of(verify_document, document, KEYS, role="policy", typ="t", at=1_500) == reason


# --- the succession of roots ---------------------------------------------------------------------------------------
def handing_over(*roots: SigningKey, lender: str = "huabei") -> tuple[bytes, ...]:
    """The signed changes from the first of ``roots`` to the last."""
    return tuple(
        sign_root_change(lender, version, old, new.public) for version, (old, new) in enumerate(pairwise(roots), 2)
    )


def signed_by(root: SigningKey, *changes: bytes) -> bytes:
    return sign_key_list(replace(KEYS, succession=changes), root)


def change_to(root: object, signer: SigningKey = ROOT, typ: str = "counterfoil-root") -> tuple[bytes]:
    """A change that says it is signed by ROOT."""
    payload = cbor.encode({"lender": "huabei", "version": 2, "root": root})
    return (cose.sign1(payload, signer, kid=ROOT.public.kid, typ=typ),)


@pytest.mark.parametrize("pinned", [ROOT, OTHER, THIRD], ids=["two changes ago", "one change ago", "the newest"])
def test_a_lane_that_slept_through_changes_of_the_root_walks_from_the_one_it_pinned(pinned: SigningKey) -> None:
    data = signed_by(THIRD, *handing_over(ROOT, OTHER, THIRD))
    assert verify_key_list(data, pinned.public, version_min=7).version == 7
    assert root_of(data, pinned.public) == THIRD.public


def test_after_a_change_the_old_root_signs_nothing_for_those_who_walked_on() -> None:
    changes = handing_over(ROOT, OTHER)
    pinned = root_of(signed_by(OTHER, *changes), ROOT.public)
    assert reason_of(verify_key_list, signed_by(ROOT), pinned, version_min=0) == "bad_signature"
    assert reason_of(verify_key_list, signed_by(ROOT, *changes), ROOT.public, version_min=0) == "bad_signature"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (handing_over(ROOT, OTHER, lender="baitiao"), "other_lender"),
        (handing_over(OTHER, THIRD), "bad_signature"),
        (handing_over(ROOT, OTHER, THIRD)[1:], "bad_signature"),
        (tuple(reversed(handing_over(ROOT, OTHER, THIRD))), "bad_signature"),
        (handing_over(ROOT, OTHER) + handing_over(OTHER, THIRD), "malformed"),
        (change_to(THIRD.public.to_cose_key(), typ="counterfoil-policy"), "bad_signature"),
        (change_to({}), "malformed"),
        (change_to(THIRD.public.to_cose_key(), POLICY), "bad_signature"),
        ((b"junk",), "malformed"),
        (handing_over(ROOT, OTHER) * 33, "malformed"),
    ],
    ids=["for another lender", "by a stranger", "with a step missing", "out of order", "of one version twice",
         "of another type", "to no key", "not signed by the root it names", "unreadable", "too many"],
)  # fmt: skip
def test_a_root_that_the_pinned_one_did_not_hand_over_to_is_nobody(changes: tuple[bytes, ...], reason: str) -> None:
    fields = cbor.decode(cose.parse1(sign_key_list(KEYS, THIRD)).payload)
    assert isinstance(fields, dict)
    data = cose.sign1(cbor.encode({**fields, "succession": list(changes)}), THIRD, typ=KEY_LIST_TYPE)
    assert reason_of(verify_key_list, data, ROOT.public, version_min=0) == reason


@pytest.mark.parametrize("succession", [{}, 5, ["text"], None])
def test_a_succession_of_another_shape_is_malformed(succession: object) -> None:
    fields = cbor.decode(cose.parse1(sign_key_list(KEYS, ROOT)).payload)
    data = cose.sign1(cbor.encode({**fields, "succession": succession}), ROOT, typ=KEY_LIST_TYPE)  # type: ignore[dict-item]
    assert reason_of(verify_key_list, data, ROOT.public, version_min=0) == "malformed"
