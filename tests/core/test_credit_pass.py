"""The credit pass: a verified pass, or one typed refusal, whatever is scanned."""

import base64
import hashlib
from dataclasses import replace

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import cose, credit_pass
from agent.core.cose import Kind, SigningKey
from agent.core.credit_pass import Credential, CreditPass, PassRejected, Proof, Reason
from agent.core.trust import KeyList, Role
from tests.core.passes import (
    ACCOUNT,
    AID,
    CODE,
    CREDENTIAL,
    DF01,
    LENDER,
    NOW,
    PASS,
    PHONE,
    PROOF,
    RAW,
    TRUST,
    binding,
    element,
    foreign_code,
    foreign_cose_key,
    foreign_sign1,
    key_list,
    private_key,
)

KINDS: tuple[Kind, ...] = ("ed25519", "p256")
EMVCO_EXAMPLE = (
    "hQVDUFYwMWETTwegAAAAVVVVUAhQcm9kdWN0MWETTwegAAAAZmZmUAhQcm9kdWN0MmJJWggSNFZ4kBI0WF8gDkNBUkRIT0xERVIvRU1WXy0IcnVl"
    "c2RlZW5kIZ8QBwYBCgMAAACfJghYT9OF+iNLzJ82AgABnzcEbVjvEw=="
)


def code_of(
    credential: Credential = CREDENTIAL, proof: Proof = PROOF, key: SigningKey = LENDER, phone: SigningKey = PHONE
) -> str:
    df01 = credit_pass.issue_credential(credential, key)
    return credit_pass.assemble(df01, credit_pass.issue_proof(df01, proof, phone))


def reason_of(code: str | bytes, trust: dict[str, KeyList] = TRUST, at: int = NOW) -> Reason:
    with pytest.raises(PassRejected) as refused:
        credit_pass.verify(code, trust, scanned_at=at)
    return refused.value.reason


@pytest.mark.parametrize("lender_kind", KINDS)
@pytest.mark.parametrize("phone_kind", KINDS)
def test_an_issued_pass_is_verified_as_it_was_issued(lender_kind: Kind, phone_kind: Kind) -> None:
    lender, phone = SigningKey.from_seed(lender_kind, b"1" * 32), SigningKey.from_seed(phone_kind, b"2" * 32)
    credential = replace(CREDENTIAL, phone_key=phone.public)
    code = code_of(credential, PROOF, lender, phone)
    verified = credit_pass.verify(code, {"huabei": key_list(lender)}, scanned_at=NOW)
    assert verified == CreditPass(credential, PROOF, lender.public.kid)
    assert len(code) <= 460  # QR version 17-M, small enough for a phone and a cheap scanner


def test_text_and_bytes_of_a_scan_are_the_same() -> None:
    assert credit_pass.verify(CODE, TRUST, scanned_at=NOW) == PASS
    assert credit_pass.verify(CODE.encode(), TRUST, scanned_at=NOW) == PASS


def test_what_a_pass_leaves_out_is_zero_unverified_and_unknown() -> None:
    credential = replace(CREDENTIAL, cap_minor=0, tier=0)
    proof = Proof(NOW, b"12345678")
    verified = credit_pass.verify(code_of(credential, proof), TRUST, scanned_at=NOW)
    assert (verified.credential, verified.proof) == (credential, proof)
    assert "cap" not in cbor2.loads(credit_pass.parse(code_of(credential, proof)).signed_credential.payload)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign_bit", [False, True])
@pytest.mark.parametrize("older_name", [False, True])
def test_a_pass_from_an_independent_encoder_in_any_map_order_is_verified(
    kind: Kind, sign_bit: bool, older_name: bool
) -> None:
    lender, phone = private_key(kind, 1), private_key(kind, 2)
    public = cose.PublicKey.from_cose_key(foreign_cose_key(lender))
    alg = {"ed25519": (-19, -8), "p256": (-9, -7)}[kind][older_name]
    claims = {
        "tier": 2, "cap": 700, 8: {1: foreign_cose_key(phone, sign_bit=sign_bit)}, "x": [1, {"y": b"z"}],
        4: NOW + 60, 5: NOW - 60, 2: ACCOUNT, 1: "huabei",
    }  # fmt: skip
    df01 = foreign_sign1({4: public.kid, 1: alg}, cbor2.dumps(claims), lender)
    proof = {"ctr": 9, "uv": True, "ch": binding(df01), 7: b"abcdefgh", 6: NOW - 1, "z": None}
    df02 = foreign_sign1({1: alg}, cbor2.dumps(proof), phone)
    for code in (
        foreign_code(df01, df02),
        foreign_code(df01, df02, before=element("9f7f", b"?"), after=element("61", b"\x4f\x00") + element("62", b"")),
    ):
        verified = credit_pass.verify(code, {"huabei": key_list_of(public)}, scanned_at=NOW)
        assert verified.credential.account == ACCOUNT
        assert (verified.credential.cap_minor, verified.credential.tier) == (700, 2)
        assert verified.proof == Proof(NOW - 1, b"abcdefgh", user_verified=True, counter=9)
        assert verified.kid == public.kid


def key_list_of(public: cose.PublicKey) -> KeyList:
    keys = key_list()
    return replace(keys, keys=(replace(keys.keys[0], kid=public.kid, key=public),))


def test_the_emvco_example_is_a_code_but_not_ours() -> None:
    assert reason_of(EMVCO_EXAMPLE) == Reason.NOT_OUR_APPLICATION


OTHER = SigningKey.from_seed("ed25519", b"O" * 32)


@pytest.mark.parametrize(
    ("trust", "reason"),
    [
        ({}, Reason.NOT_OUR_APPLICATION),
        ({"huabei": key_list(aid=b"\xf0other")}, Reason.NOT_OUR_APPLICATION),
        ({"baitiao": key_list(lender="baitiao")}, Reason.UNKNOWN_LENDER),
        ({"huabei": key_list(lender="baitiao")}, Reason.UNKNOWN_LENDER),
        (
            {"huabei": key_list(aid=b"\xf0other"), "baitiao": key_list(lender="baitiao")},
            Reason.OTHER_LENDERS_APPLICATION,
        ),
        ({"huabei": key_list(OTHER)}, Reason.UNKNOWN_KEY),
        ({"huabei": key_list(role=Role.POLICY)}, Reason.WRONG_ROLE_KEY),
        ({"huabei": key_list(revoked=True)}, Reason.KEY_REVOKED),
        ({"huabei": key_list(nbf_at=NOW + 1)}, Reason.KEY_NOT_YET_VALID),
        ({"huabei": key_list(exp_at=NOW)}, Reason.KEY_EXPIRED),
        ({"huabei": key_list(expires_at=NOW)}, Reason.KEY_LIST_EXPIRED),
    ],
)
def test_a_pass_counts_only_under_a_valid_credential_key_of_its_own_lender(
    trust: dict[str, KeyList], reason: Reason
) -> None:
    assert reason_of(CODE, trust) == reason


def test_a_credential_signed_by_another_key_under_a_known_key_id_is_refused() -> None:
    forged = cose.sign1(cose.parse1(DF01).payload, OTHER, kid=LENDER.public.kid)
    code = credit_pass.assemble(forged, credit_pass.issue_proof(forged, PROOF, PHONE))
    assert reason_of(code) == Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (NOW - 3_601, Reason.NOT_YET_VALID),
        (NOW - 3_600, None),
        (NOW + 86_399, None),
        (NOW + 86_400, Reason.EXPIRED),
    ],
)
def test_a_credential_is_valid_from_nbf_until_before_exp(at: int, expected: Reason | None) -> None:
    code = code_of(proof=replace(PROOF, issued_at=at))
    if expected is None:
        credit_pass.verify(code, TRUST, scanned_at=at)
    else:
        assert reason_of(code, at=at) == expected


def test_a_credential_lives_seven_days_at_most() -> None:
    week = replace(CREDENTIAL, nbf_at=NOW - 10, exp_at=NOW - 10 + 7 * 86_400)
    credit_pass.verify(code_of(week), TRUST, scanned_at=NOW)
    assert reason_of(code_of(replace(week, exp_at=week.exp_at + 1))) == Reason.LIFE_TOO_LONG


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [(-31, Reason.PROOF_FROM_FUTURE), (-30, None), (0, None), (90, None), (91, Reason.PROOF_STALE)],
)
def test_a_proof_is_fresh_for_60_s_with_30_s_for_the_clock_of_the_phone(age_s: int, expected: Reason | None) -> None:
    code = code_of(proof=replace(PROOF, issued_at=NOW - age_s))
    if expected is None:
        assert credit_pass.verify(code, TRUST, scanned_at=NOW).proof.issued_at == NOW - age_s
    else:
        assert reason_of(code) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("score", 1.5),
        (99, cbor2.CBORTag(1, NOW)),
        (-65_537, {b"key": b"value"}),
        (b"bytes", None),
        ("x", [cbor2.undefined]),
    ],
)
def test_a_claim_that_nobody_here_knows_is_ignored_whatever_it_holds(name: object, value: object) -> None:
    df01 = cose.sign1(
        cbor2.dumps({name: value, **cbor2.loads(cose.parse1(DF01).payload)}), LENDER, kid=LENDER.public.kid
    )
    df02 = cose.sign1(cbor2.dumps({6: PROOF.issued_at, 7: PROOF.cti, "ch": binding(df01), name: value}), PHONE)
    code = foreign_code(df01, df02)
    verified = credit_pass.verify(code, TRUST, scanned_at=NOW)
    assert (verified.credential, verified.proof) == (CREDENTIAL, Proof(PROOF.issued_at, PROOF.cti))
    if value == 1.5:  # it is signed all the same
        changed = base64.b64decode(code).replace(cbor2.dumps(1.5), cbor2.dumps(2.5), 1)
        assert reason_of(base64.b64encode(changed).decode()) == Reason.BAD_SIGNATURE


def test_freshness_and_tolerance_are_the_callers() -> None:
    credit_pass.verify(CODE, TRUST, scanned_at=NOW, freshness_s=5, tolerance_s=0)
    with pytest.raises(PassRejected, match="proof_stale"):
        credit_pass.verify(CODE, TRUST, scanned_at=NOW, freshness_s=4, tolerance_s=0)


def test_a_proof_by_another_phone_or_for_another_credential_is_refused() -> None:
    stolen = credit_pass.assemble(DF01, credit_pass.issue_proof(DF01, PROOF, OTHER))
    assert reason_of(stolen) == Reason.PROOF_BAD_SIGNATURE
    richer = credit_pass.issue_credential(replace(CREDENTIAL, cap_minor=99_999), LENDER)
    moved = credit_pass.assemble(richer, credit_pass.issue_proof(DF01, PROOF, PHONE))
    assert reason_of(moved) == Reason.PROOF_OTHER_CREDENTIAL


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", Reason.NOT_EMVCO),
        ("A" * 512, Reason.NOT_EMVCO),
        ("A" * 513, Reason.TOO_LONG),
        (CODE + "\n", Reason.NOT_BASE64),
        (CODE[:-1], Reason.NOT_BASE64),
        (CODE.replace("h", " ", 1), Reason.NOT_BASE64),
        ("hQVDUFYwMR==", Reason.NOT_BASE64),  # bits after the end that are not zero
        ("6901234567892", Reason.NOT_BASE64),
        ("信用", Reason.NOT_BASE64),
        ("\ud800", Reason.NOT_BASE64),
        (b"\xff\xfe", Reason.NOT_BASE64),
        ("hQVDUFYwMQ==", Reason.NOT_OUR_APPLICATION),
        (base64.b64encode(RAW[:-1]).decode(), Reason.MALFORMED),
        (base64.b64encode(RAW + b"\x61").decode(), Reason.MALFORMED),
    ],
)
def test_a_code_that_is_no_pass_says_which_layer_failed(code: str | bytes, reason: Reason) -> None:
    assert reason_of(code) == reason


def test_duplicate_or_missing_elements_are_refused() -> None:
    df01, df02 = element("df01", DF01[:8]), element("df02", b"x")

    def code(inside: bytes, application: bytes = b"") -> str:
        template = element("4f", AID) + application + element("63", inside)
        return base64.b64encode(element("85", b"CPV01") + element("61", template)).decode()

    assert reason_of(code(df01)) == Reason.MALFORMED
    assert reason_of(code(df02)) == Reason.MALFORMED
    assert reason_of(code(b"")) == Reason.NOT_OUR_APPLICATION
    assert reason_of(code(df01 + df01 + df02)) == Reason.MALFORMED
    assert reason_of(code(df01 + df02, element("4f", AID))) == Reason.MALFORMED
    assert reason_of(base64.b64encode(RAW.replace(b"\x4f\x07", b"\x4e\x07", 1))) == Reason.MALFORMED


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        (1, ""), (1, "x" * 17), (1, 5), (2, b"short"), (2, "text"), (4, True), (4, NOW - 3_600), (4, 2**53), (4, 1.5),
        (5, -1), (5, None), (8, {}), (8, {1: {}}), (8, 5), ("cap", -1), ("cap", 2**53), ("cap", False), ("cap", None),
        ("tier", 8), ("tier", -1), ("tier", "gold"),
    ],
)  # fmt: skip
def test_a_credential_outside_the_profile_is_malformed_even_if_the_lender_signed_it(
    claim: object, value: object
) -> None:
    claims = {**cbor2.loads(cose.parse1(DF01).payload), claim: value}
    df01 = cose.sign1(cbor2.dumps(claims), LENDER, kid=LENDER.public.kid)
    assert reason_of(credit_pass.assemble(df01, credit_pass.issue_proof(df01, PROOF, PHONE))) == Reason.MALFORMED


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        (6, -1), (6, 2**53), (6, False), (6, "now"), (7, b"1234567"), (7, b"123456789"), (7, 5), ("ch", b"1234567"),
        ("ch", None), ("uv", 1), ("uv", None), ("ctr", -1), ("ctr", 2**53), ("ctr", True), ("ctr", b""),
    ],
)  # fmt: skip
def test_a_proof_outside_the_profile_is_malformed_even_if_the_phone_signed_it(claim: object, value: object) -> None:
    claims = {**cbor2.loads(cose.parse1(credit_pass.issue_proof(DF01, PROOF, PHONE)).payload), claim: value}
    assert reason_of(credit_pass.assemble(DF01, cose.sign1(cbor2.dumps(claims), PHONE))) == Reason.MALFORMED


def test_a_credential_without_key_id_or_a_typed_document_is_no_pass() -> None:
    payload = cose.parse1(DF01).payload
    for df01, reason in (
        (cose.sign1(payload, LENDER), Reason.MALFORMED),
        (cose.sign1(payload, LENDER, kid=b"short"), Reason.MALFORMED),
        (cose.sign1(payload, LENDER, kid=LENDER.public.kid, typ="counterfoil-policy"), Reason.BAD_SIGNATURE),
    ):
        assert reason_of(credit_pass.assemble(df01, credit_pass.issue_proof(df01, PROOF, PHONE))) == reason


@pytest.mark.parametrize(
    "changes", [{"lender": ""}, {"account": b""}, {"exp_at": 0}, {"cap_minor": -1}, {"tier": 8}], ids=str
)
def test_a_credential_that_no_lane_would_take_cannot_be_made(changes: dict[str, object]) -> None:
    with pytest.raises(PassRejected, match="malformed"):
        replace(CREDENTIAL, **changes)


def test_a_pass_longer_than_a_code_may_be_is_not_assembled() -> None:
    with pytest.raises(PassRejected, match="too_long"):
        credit_pass.assemble(DF01, bytes(300))


def test_every_reason_carries_a_response_code_of_field_39() -> None:
    assert {reason.response_code for reason in Reason} <= {"12", "14", "54", "59", "91"}
    assert PassRejected(Reason.EXPIRED, "").response_code == "54"
    assert all(reason == reason.value and reason.isidentifier() for reason in Reason)


def verified_or_rejected(code: str | bytes) -> CreditPass | None:
    try:
        return credit_pass.verify(code, TRUST, scanned_at=NOW)
    except PassRejected:
        return None


LABEL = range(RAW.index(b"\x50\x0bCREDIT PASS"), RAW.index(b"\x50\x0bCREDIT PASS") + 13)


@given(place=st.integers(0, len(RAW) - 1), change=st.integers(1, 255))
def test_no_changed_byte_of_a_pass_survives_but_in_the_label_that_nobody_signs(place: int, change: int) -> None:
    data = bytearray(RAW)
    data[place] ^= change
    verified = verified_or_rejected(base64.b64encode(data))
    assert verified is None or (place in LABEL and verified == PASS)


@given(place=st.integers(0, len(CODE) - 1), char=st.integers(0, 255))
def test_no_changed_character_of_a_code_makes_another_pass(place: int, char: int) -> None:
    data = bytearray(CODE.encode())
    data[place] = char
    assert verified_or_rejected(bytes(data)) in (None, PASS)


@given(st.binary(max_size=600) | st.text(max_size=600))
def test_any_scan_is_refused_with_a_reason(code: bytes | str) -> None:
    assert verified_or_rejected(code) is None


@given(st.binary(max_size=340))
def test_any_bytes_behind_the_format_are_refused_with_a_reason(tail: bytes) -> None:
    assert verified_or_rejected(base64.b64encode(b"\x85\x05CPV01" + tail)) is None


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=20)
    | st.text(max_size=9)
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(scalars, inner, max_size=3), max_leaves=6
)


@given(credential=st.dictionaries(st.sampled_from([1, 2, 4, 5, 8, "cap", "tier"]), anything, max_size=3),
       key=st.dictionaries(st.sampled_from([1, -1, -2, -3, -4, 3, 4]), anything, max_size=2),
       proof=st.dictionaries(st.sampled_from([6, 7, "ch", "uv", "ctr"]), anything, max_size=3))  # fmt: skip
def test_signed_nonsense_in_any_claim_is_refused_and_never_crashes(
    credential: dict[object, object], key: dict[object, object], proof: dict[object, object]
) -> None:
    cnf = {1: {**PHONE.public.to_cose_key(compressed=True), **key}}
    claims = {**cbor2.loads(cose.parse1(DF01).payload), 8: cnf, **credential}
    df01 = cose.sign1(cbor2.dumps(claims), LENDER, kid=LENDER.public.kid)
    answer = {6: NOW, 7: b"12345678", "ch": hashlib.sha256(df01).digest()[:8], **proof}
    try:
        code = credit_pass.assemble(df01, cose.sign1(cbor2.dumps(answer), PHONE))
    except PassRejected:
        return
    verified_or_rejected(code)
