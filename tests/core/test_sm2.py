"""SM2 behind the interface of every other key, and a lane that has no library for it."""

from dataclasses import replace

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import cose, credit_pass, sm2
from agent.core.cose import CoseError, PublicKey, SigningKey
from agent.core.credit_pass import PassRejected, Reason
from tests.core.passes import CREDENTIAL, NOW, PHONE, PROOF, key_list

# GB/T 32918.5-2017, annex A: signature of "message digest" under the default signer's id.
POINT = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
MESSAGE = b"message digest"
KEY = PublicKey("sm2", POINT)
SEED = bytes(range(32))

installed = pytest.mark.skipif(not sm2.is_installed(), reason="tongsuopy is not installed")


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sm2, "ec", None)
    sm2._loaded.cache_clear()


@installed
def test_the_example_of_the_standard_is_verified_and_nothing_near_it() -> None:
    assert KEY.verify(SIGNATURE, MESSAGE)
    assert not KEY.verify(SIGNATURE, MESSAGE + b".")
    assert not KEY.verify(SIGNATURE[32:] + SIGNATURE[:32], MESSAGE)
    assert not KEY.verify(SIGNATURE[:-1], MESSAGE)


@installed
@given(st.integers(0, 511))
def test_a_signature_with_any_bit_flipped_is_refused(bit: int) -> None:
    flipped = (int.from_bytes(SIGNATURE, "big") ^ 1 << bit).to_bytes(64, "big")
    assert not KEY.verify(flipped, MESSAGE)


@installed
@pytest.mark.parametrize("number", [0, sm2.ORDER, 2**256 - 1])
def test_numbers_outside_the_order_are_no_signature(number: int) -> None:
    raw = number.to_bytes(32, "big")
    assert not KEY.verify(raw + SIGNATURE[32:], MESSAGE)
    assert not KEY.verify(SIGNATURE[:32] + raw, MESSAGE)


@installed
def test_a_key_signs_survives_its_file_and_is_read_back_compressed() -> None:
    key = SigningKey.from_seed("sm2", SEED)
    again = SigningKey.from_pem(key.to_pem())
    assert again.public == key.public == SigningKey.from_seed("sm2", SEED).public
    signed = cose.verify1(cose.sign1(b"payload", again, kid=b"kid", typ="t"), key.public, typ="t")
    assert (signed.payload, signed.alg) == (b"payload", -65537)
    for compressed in (False, True):
        assert PublicKey.from_cose_key(key.public.to_cose_key(compressed=compressed)) == key.public


@installed
def test_the_message_does_not_choose_the_algorithm() -> None:
    signed = cose.sign1(b"payload", SigningKey.from_seed("sm2", SEED))
    for kind in ("ed25519", "p256"):
        with pytest.raises(CoseError) as refused:
            cose.verify1(signed, SigningKey.from_seed(kind, SEED).public, typ=None)  # type: ignore[arg-type]
        assert refused.value.reason == "algorithm_mismatch"


@pytest.mark.usefixtures("without_library")
def test_a_key_is_judged_without_the_library() -> None:
    assert PublicKey.from_cose_key({1: 2, -1: -65537, -2: POINT[1:33], -3: POINT[33:]}) == KEY
    assert PublicKey.from_cose_key({1: 2, -1: -65537, -2: POINT[1:33], -3: bool(POINT[64] & 1)}) == KEY
    assert PublicKey.from_cose_key({1: 2, -1: -65537, -2: POINT[1:33], -3: not POINT[64] & 1}) != KEY


@pytest.mark.usefixtures("without_library")
@pytest.mark.parametrize(
    "raw",
    [POINT[:-1], POINT[:-1] + b"\x00", b"\x02" + POINT[1:], b"\x04" + b"\xff" * 64, b"\x04" + bytes(64), b""],
)
def test_what_is_no_point_is_no_key(raw: bytes) -> None:
    with pytest.raises(CoseError) as refused:
        PublicKey("sm2", raw)
    assert refused.value.reason == "key_malformed"


@installed
def test_a_pass_of_an_sm2_lender_is_verified_and_where_the_library_is_missing_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lender = SigningKey.from_seed("sm2", SEED)
    credential = credit_pass.issue_credential(CREDENTIAL, lender)
    code = credit_pass.assemble(credential, credit_pass.issue_proof(credential, PROOF, PHONE))
    usual = key_list()
    entry = replace(usual.keys[0], kid=lender.public.kid, key=lender.public)
    trust = {"huabei": replace(usual, keys=(entry,))}
    assert credit_pass.verify(code, trust, scanned_at=NOW).credential == CREDENTIAL

    monkeypatch.setattr(sm2, "ec", None)
    sm2._loaded.cache_clear()
    with pytest.raises(PassRejected) as refused:
        credit_pass.verify(code, trust, scanned_at=NOW)
    assert (refused.value.reason, refused.value.reason.response_code) == (Reason.ALGORITHM_UNAVAILABLE, "91")
    assert "install" in str(refused.value)


@pytest.mark.usefixtures("without_library")
def test_a_private_key_without_the_library_is_refused_as_such() -> None:
    with pytest.raises(CoseError) as refused:
        SigningKey.from_seed("sm2", SEED)
    assert refused.value.reason == "algorithm_unavailable"


def test_the_header_on_the_wire_is_of_the_range_for_private_use() -> None:
    assert max(cose.ACCEPTS["sm2"]) < -65536
    assert cbor2.loads(cbor2.dumps({1: cose.SIGNS_WITH["sm2"]})) == {1: -65537}
