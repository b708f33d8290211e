"""The kit of this backend for the conformance suite: codes, test phones, and what an operator can do.

The one rule: the kit is made of real rows, by the same functions as everybody's; nothing of the backend knows of it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.core.cose import SigningKey
from agent.core.coupons import ID_BYTES, Coupon, issue_coupon
from agent.core.trust import Role
from backend import accounts, certificates, demo_data, enrollment
from backend.compose import Backend
from backend.database import transaction
from backend.demo_data import Phone
from backend.enrollment import CODE_LIFE_S, NewLane
from backend.identity import CERTIFICATE_LIFE, LaneName, private_pem
from backend.lenders import Lender
from backend.rails import sandbox

LANES: Final = 90
PHONES: Final = 90
COUPONS: Final = 2
LIMIT_MINOR: Final = 1_000_000
"""High beside the leases: a hundred lanes with a lease each leave nine tenths of it to spend online."""

LEASE_MINOR: Final = 500
"""What the server is to grant (``--allowance-minor``) while the suite runs."""

_PAST_S: Final = 7 * 24 * 3600
_STORE: Final = "store-1"
_MERCHANT: Final = "merchant-1"


def make_kit(
    backend: Backend,
    *,
    lender: str,
    prefix: str,
    hooks: Mapping[str, str] | None = None,
    lanes: int = LANES,
    phones: int = PHONES,
) -> dict[str, Any]:
    """A fresh kit as lane-protocol.md describes it. ``prefix`` makes the names of its lanes unlike all others here.

    ``hooks`` are shell commands by name. Raises Problem and AccountRefused.
    """
    known = backend.lender(lender)
    names = [f"{prefix}-{number:03}" for number in range(1, lanes + 1)]
    return {
        "lenders": [lender, *(other for other in backend.lenders if other != lender)],
        "codes": [_code(backend, name) for name in names],
        "expired_code": _code(backend, f"{prefix}-late", life_s=0),
        "other_merchant_code": _code(backend, f"{prefix}-other", merchant="merchant-2"),
        "phones": list(_phones(backend, known, phones)),
        "blocked_phone": _blocked(backend, known),
        "unknown_phone": _to_json(_stranger(backend, known), known, 0),
        "twins": _twins(backend, known),
        "expired_lane": _expired_lane(backend, f"{prefix}-expired"),
        "coupons": list(_coupons(backend, known, COUPONS)),
        "wallet": _wallet() if backend.rails else None,
        "hooks": dict(hooks or {}),
    }


def _code(backend: Backend, lane: str, *, merchant: str = _MERCHANT, life_s: int = CODE_LIFE_S) -> str:
    new = NewLane(lane, _STORE, merchant, "示例超市", "5411", "CNY")
    with transaction(backend.database):
        return enrollment.create_code(
            new, backend.authority, now_s=backend.clock(), randomness=backend.randomness, life_s=life_s
        )


def _account(backend: Backend, lender: Lender) -> bytes:
    token = backend.randomness(16)
    with transaction(backend.database):
        accounts.add(lender.lender, token, LIMIT_MINOR)
    return token


def _phone(backend: Backend, lender: Lender, token: bytes) -> Phone:
    return demo_data.issue_phone(lender, token, now_s=backend.clock(), randomness=backend.randomness)


def _phones(backend: Backend, lender: Lender, count: int) -> Iterator[dict[str, Any]]:
    for _ in range(count):
        yield _to_json(_phone(backend, lender, _account(backend, lender)), lender, LIMIT_MINOR)


def _coupons(backend: Backend, lender: Lender, count: int) -> Iterator[dict[str, Any]]:
    for _ in range(count):
        token, now_s = _account(backend, lender), backend.clock()
        coupon = Coupon(backend.randomness(ID_BYTES), lender.lender, token, now_s, now_s + CODE_LIFE_S, LIMIT_MINOR)
        text = issue_coupon(coupon, lender.keys[Role.COUPON])
        yield {"phone": _to_json(_phone(backend, lender, token), lender, LIMIT_MINOR), "coupon": text}


def _blocked(backend: Backend, lender: Lender) -> dict[str, Any]:
    token = _account(backend, lender)
    account = accounts.find(lender.lender, token)
    assert account is not None
    with transaction(backend.database):
        accounts.set_blocked(account, True)
    return _to_json(_phone(backend, lender, token), lender, LIMIT_MINOR)


def _stranger(backend: Backend, lender: Lender) -> Phone:
    """A phone with a good credential whose account was never opened."""
    return _phone(backend, lender, backend.randomness(16))


def _twins(backend: Backend, lender: Lender) -> list[dict[str, Any]] | None:
    """Phones of two lenders whose accounts have one token; None where there is one lender."""
    other = next((known for known in backend.lenders.values() if known.lender != lender.lender), None)
    if other is None:
        return None
    token = _account(backend, lender)
    with transaction(backend.database):
        accounts.add(other.lender, token, LIMIT_MINOR)
    return [_to_json(_phone(backend, each, token), each, LIMIT_MINOR) for each in (lender, other)]


def _to_json(phone: Phone, lender: Lender, limit_minor: int) -> dict[str, Any]:
    return {
        "lender": lender.lender,
        "account": phone.account.hex(),
        "limit_minor": limit_minor,
        "credential": base64.b64encode(phone.credential).decode(),
        "key": phone.key.to_pem().decode(),
    }


def _wallet() -> dict[str, str]:
    """Codes of the sandbox: the last digit says what becomes of them."""
    ends = {"pays": "0", "pends": sandbox.FOR_EVER, "declines": sandbox.REFUSED}
    return {"rail": "wallet_alipay"} | {name: f"28{0:015}{end}" for name, end in ends.items()}


def _expired_lane(backend: Backend, lane: str) -> dict[str, Any]:
    """A lane whose certificate ended a week ago."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    csr = request.public_bytes(serialization.Encoding.PEM).decode()
    journal_key = SigningKey.from_seed("p256", backend.randomness(32))
    name = LaneName(lane, _MERCHANT, _STORE)
    issued_at = backend.clock() - int(CERTIFICATE_LIFE.total_seconds()) - _PAST_S
    with transaction(backend.database):
        enrollment.register(name, journal_key.public)
        certificate = certificates.issue(csr, name, 1, backend.authority, now_s=issued_at)
    keys = {"key": private_pem(key).decode(), "journal_key": journal_key.to_pem().decode()}
    return {"lane": lane, "epoch": 1, "certificate": certificate, **keys}
