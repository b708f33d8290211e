"""A slip's claim: the lane's own word about one sale, and about no other."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import cbor, cose
from agent.core.cose import SigningKey
from agent.core.slip_claim import CLAIM_TYP, PREFIX, ClaimError, SlipClaim, make_claim, read_claim, verify_claim

LANE, STRANGER = (SigningKey.from_seed("p256", bytes([n]) * 32) for n in (1, 2))
CLAIM = SlipClaim(
    lane="lane-0042",
    epoch=2,
    lender="huabei",
    sale_id="0190f7d2-5f6e-7c3a-9b1e-0123456789ab",
    attempt=1,
    account=bytes(range(16)),
    amount_minor=128_00,
    currency="CNY",
    approved_at=1_800_000_000,
    lease_epoch=2,
    delta_minor=100_00,
)
TEXT = make_claim(CLAIM, LANE)


def reason_of(text: str) -> str:
    with pytest.raises(ClaimError) as refused:
        verify_claim(text, LANE.public)
    return refused.value.reason


def signed(payload: object, key: SigningKey = LANE, typ: str = CLAIM_TYP) -> str:
    data = cose.sign1(cbor.encode(payload), key, typ=typ)  # type: ignore[arg-type]
    return PREFIX + base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def fields() -> dict[int, object]:
    data = base64.urlsafe_b64decode(TEXT.removeprefix(PREFIX) + "==")
    read = cbor.decode(cose.parse1(data).payload)
    assert isinstance(read, dict)
    return read  # type: ignore[return-value]


def test_a_claim_is_read_back_as_it_was() -> None:
    assert verify_claim(TEXT, LANE.public) == read_claim(f" {TEXT}\r\n") == CLAIM


def test_a_sale_under_the_passs_own_cap_claims_nothing_of_a_lease() -> None:
    claim = replace(CLAIM, lease_epoch=None, delta_minor=0)
    assert verify_claim(make_claim(claim, LANE), LANE.public) == claim


def test_a_claim_fits_a_qr_code_of_58_mm_paper() -> None:
    longest = replace(CLAIM, lane="x" * 32, lender="y" * 16, amount_minor=2**32, delta_minor=2**32)
    assert len(make_claim(longest, LANE)) <= 331  # version 13-M (ISO/IEC 18004 table 7): 69 modules


def test_the_names_on_the_wire_are_those_of_the_protocol() -> None:
    assert fields() == {
        1: "lane-0042", 2: 2, 3: "huabei", 4: CLAIM.sale_id, 5: 1, 6: CLAIM.account, 7: 128_00, 8: "CNY",
        9: 1_800_000_000, 10: 2, 11: 100_00,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (make_claim(CLAIM, STRANGER), "bad_signature"),
        (signed({**fields(), 7: 999_00}, STRANGER), "bad_signature"),
        (signed(fields(), typ="counterfoil-upload"), "bad_signature"),
        (TEXT.removeprefix(PREFIX), "malformed"),
        (TEXT[:-8], "malformed"),
        (PREFIX + "ä" * 100, "malformed"),
        (PREFIX + "A" * 2000, "malformed"),
        (signed([1, 2]), "malformed"),
        ("", "malformed"),
    ],
)
def test_what_the_lane_did_not_sign_is_no_claim(text: str, reason: str) -> None:
    assert reason_of(text) == reason


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (1, ""), (1, 5), (2, 0), (3, "x" * 65), (4, b"sale"), (5, 0), (5, True), (6, bytes(15)), (7, 0), (7, -1),
        (7, 2**53), (8, "yuan"), (9, -1), (10, 0), (10, None), (11, -1), (11, 128_01), (11, 0), (11, None),
    ],
)  # fmt: skip
def test_a_signed_claim_that_says_something_impossible_is_malformed(number: int, value: object) -> None:
    assert reason_of(signed({**fields(), number: value})) == "malformed"


@given(st.text(max_size=300))
def test_whatever_a_scanner_reads_is_a_claim_or_a_refusal(text: str) -> None:
    for candidate in (text, PREFIX + text):
        with pytest.raises(ClaimError):
            verify_claim(candidate, LANE.public)


@given(st.integers(0, 255), st.integers(0, 10_000))
def test_a_claim_with_one_changed_byte_is_refused(value: int, place: int) -> None:
    data = bytearray(base64.urlsafe_b64decode(TEXT.removeprefix(PREFIX) + "=="))
    if data[place % len(data)] == value:
        return
    data[place % len(data)] = value
    with pytest.raises(ClaimError):
        verify_claim(PREFIX + base64.urlsafe_b64encode(data).rstrip(b"=").decode(), LANE.public)
