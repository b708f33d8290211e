"""Enrollment: a code works once, for one lane, and says who the backend is."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from agent.core import cbor, trust
from agent.core.cose import PublicKey, SigningKey
from backend import identity
from backend.database import transaction
from backend.enrollment import CODE_LIFE_S, NewLane, create_code
from backend.problems import Problem
from backend.wire import b64url, from_b64url
from tests.backend.lanes import AUTHORITY, LENDER, Shop

Call = Callable[..., httpx.Response]
JOURNAL_KEY = SigningKey.from_seed("p256", bytes(32)).public
NEW = NewLane("lane-7", "store-1", "merchant-1", "示例超市", "5411", "CNY")


def csr(key: Any = None) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody else")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


CSR = csr()


def code_for(shop: Shop, lane: NewLane = NEW) -> str:
    with transaction(shop.backend.database):
        return create_code(lane, AUTHORITY, now_s=shop.clock.now_s, randomness=shop.chance.randbytes)


def request(code: str, **other: str) -> dict[str, str]:
    key = b64url(cbor.encode(JOURNAL_KEY.to_cose_key()))
    return {"code": code, "csr": CSR, "journal_key": key} | other


def enroll(call: Call, code: str, **other: str) -> httpx.Response:
    return call("POST", "/v1/enroll", request(code, **other), lane=None)


def test_a_lane_learns_who_it_is_and_whom_to_trust(shop: Shop, call: Call) -> None:
    answer = enroll(call, code_for(shop)).json()
    told = {name: answer[name] for name in ("lane", "store", "merchant", "merchant_name", "category", "epoch")}
    assert told == {
        "lane": "lane-7", "store": "store-1", "merchant": "merchant-1", "merchant_name": "示例超市",
        "category": "5411", "epoch": 1,
    }  # fmt: skip
    (lender,) = answer["lenders"]
    root = PublicKey.from_cose_key(cbor.decode(from_b64url(lender["root"])))
    assert trust.verify_key_list(from_b64url(lender["keys"]), root, version_min=1).lender == LENDER


def test_the_certificate_is_for_the_lanes_own_key_and_ignores_the_name_it_asked_for(shop: Shop, call: Call) -> None:
    answer = enroll(call, code_for(shop)).json()
    certificate = x509.load_pem_x509_certificate(answer["certificate"].encode())
    assert certificate.public_key() == x509.load_pem_x509_csr(CSR.encode()).public_key()
    assert certificate.subject.rfc4514_string() == "OU=store-1,O=merchant-1,CN=lane-7"
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(answer["ca"].encode()))


def test_the_code_carries_the_fingerprint_of_the_ca(shop: Shop, call: Call) -> None:
    ca = x509.load_pem_x509_certificate(call("GET", "/v1/ca", lane=None).json()["ca"].encode())
    digest = hashlib.sha256(ca.public_bytes(serialization.Encoding.DER)).digest()
    code = code_for(shop)
    assert code == identity.code_text(_secret(code), digest)
    assert {len(group) for group in code.split("-")} == {4}


def test_a_lost_answer_is_given_again_and_another_request_is_refused(shop: Shop, call: Call) -> None:
    code = code_for(shop)
    first = enroll(call, code)
    assert enroll(call, code.lower().replace("-", " ")).content == first.content
    shop.clock.now_s += 2 * CODE_LIFE_S
    assert enroll(call, code).content == first.content
    assert enroll(call, code, csr=csr()).status_code == 409
    other_key = b64url(cbor.encode(SigningKey.from_seed("p256", b"x" * 32).public.to_cose_key()))
    assert enroll(call, code, journal_key=other_key).status_code == 409


def test_an_unknown_or_expired_code_is_refused(shop: Shop, call: Call) -> None:
    assert enroll(call, identity.code_text(bytes(16), AUTHORITY.fingerprint)).status_code == 403
    code = code_for(shop)
    shop.clock.now_s += CODE_LIFE_S
    assert enroll(call, code).status_code == 403


def test_two_codes_for_one_lane_enroll_one_device(shop: Shop, call: Call) -> None:
    first, second = code_for(shop), code_for(shop)
    assert enroll(call, first).status_code == 200
    assert enroll(call, second).status_code == 403
    with pytest.raises(Problem, match="enrolled already"):
        code_for(shop)


def test_a_replacement_gets_the_next_epoch_and_the_end_of_the_journal_that_it_succeeds(shop: Shop, call: Call) -> None:
    shop.lanes["A"].stand_in(10, funding="cap")
    shop.lanes["A"].upload()
    with transaction(shop.backend.database):
        code = create_code(
            replace(NEW, lane="A"), AUTHORITY, now_s=shop.clock.now_s, randomness=shop.chance.randbytes, replace=True
        )
    answer = enroll(call, code).json()
    head = shop.lanes["A"].head
    assert (answer["epoch"], answer["reason"]) == (2, "replaced")
    assert answer["previous"] == {"epoch": 1, "number": 1, "hash": b64url(head.hash)}
    assert enroll(call, code).json() == answer, "a lost answer is given again"
    first = enroll(call, code_for(shop)).json()
    assert (first["epoch"], first["reason"], first["previous"]) == (1, "enrolled", None)


@pytest.mark.parametrize(
    ("lane", "problem"), [(replace(NEW, lane="A", store="store-9"), "lane_mismatch"), (NEW, "lane_unknown")]
)
def test_a_replacement_code_is_for_a_lane_that_is_there(shop: Shop, lane: NewLane, problem: str) -> None:
    with pytest.raises(Problem, match=problem):
        create_code(lane, AUTHORITY, now_s=shop.clock.now_s, randomness=shop.chance.randbytes, replace=True)


@pytest.mark.parametrize(
    "other",
    [
        {"csr": "not a request"},
        {"csr": csr(rsa.generate_private_key(65537, 2048))},
        {"csr": csr(ec.generate_private_key(ec.SECP384R1()))},
        {"csr": CSR[:200] + "AAAA" + CSR[204:]},
        {"journal_key": b64url(b"\xa0")},
        {"journal_key": b64url(b"\xff")},
    ],
)
def test_keys_that_cannot_be_used_do_not_use_up_the_code(shop: Shop, call: Call, other: dict[str, str]) -> None:
    code = code_for(shop)
    refused = enroll(call, code, **other)
    assert (refused.status_code, json.loads(refused.content)["type"]) == (400, "urn:counterfoil:problem:malformed")
    assert enroll(call, code).status_code == 200


def _secret(code: str) -> bytes:
    import base64

    text = code.replace("-", "")
    return base64.b32decode(text + "=" * (-len(text) % 8))[: identity.SECRET_BYTES]
