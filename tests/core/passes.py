"""A test lender, its phone, a pass of theirs; and an encoder that shares no line with the product.

The `foreign_` functions use cbor2 and cryptography only.
"""

import base64
import hashlib

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from agent.core.cose import Kind, SigningKey
from agent.core.credit_pass import Credential, CreditPass, Proof, assemble, issue_credential, issue_proof
from agent.core.trust import KeyEntry, KeyList, Role

NOW = 1_763_000_000
LENDER = SigningKey.from_seed("ed25519", b"L" * 32)
PHONE = SigningKey.from_seed("p256", b"P" * 32)
ACCOUNT = bytes(range(16))
AID = bytes.fromhex("f043464f494c01")


def key_list(
    key: SigningKey = LENDER, lender: str = "huabei", *, aid: bytes = AID, role: Role = Role.CREDENTIAL,
    nbf_at: int = NOW - 100_000, exp_at: int = NOW + 100_000, expires_at: int = NOW + 200_000, revoked: bool = False,
) -> KeyList:  # fmt: skip
    """A key list with one key."""
    entry = KeyEntry(key.public.kid, key.public, role, nbf_at, exp_at, revoked)
    return KeyList(lender, 1, NOW - 200_000, expires_at, (entry,), "CNY", aid)


TRUST = {"huabei": key_list()}
CREDENTIAL = Credential("huabei", ACCOUNT, NOW - 3_600, NOW + 86_400, PHONE.public, cap_minor=50_000, tier=3)
PROOF = Proof(NOW - 5, b"cti.cti.", user_verified=True, counter=17)
DF01 = issue_credential(CREDENTIAL, LENDER)
CODE = assemble(DF01, issue_proof(DF01, PROOF, PHONE))
RAW = base64.b64decode(CODE)
PASS = CreditPass(CREDENTIAL, PROOF, LENDER.public.kid)

Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


def private_key(kind: Kind, number: int) -> Private:
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    return ec.derive_private_key(number + 10**60, ec.SECP256R1())


def foreign_cose_key(key: Private, *, sign_bit: bool = False) -> dict[int, object]:
    """A COSE_Key with its labels in no particular order."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return {-2: key.public_key().public_bytes_raw(), -1: 6, 1: 1}
    numbers = key.public_key().public_numbers()
    y: object = bool(numbers.y & 1) if sign_bit else numbers.y.to_bytes(32, "big")
    return {-3: y, -2: numbers.x.to_bytes(32, "big"), -1: 1, 1: 2}


def foreign_sign1(header: dict[object, object], payload: bytes, key: Private) -> bytes:
    protected = cbor2.dumps(header)
    to_be_signed = cbor2.dumps(["Signature1", protected, b"", payload])
    if isinstance(key, ed25519.Ed25519PrivateKey):
        signature = key.sign(to_be_signed)
    else:
        r, s = decode_dss_signature(key.sign(to_be_signed, ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return cbor2.dumps([protected, {}, payload, signature])


def element(tag: str, value: bytes) -> bytes:
    size = len(value)
    length = (
        bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else bytes([0x82, size >> 8, size & 255])
    )
    return bytes.fromhex(tag) + length + value


def binding(df01: bytes) -> bytes:
    return hashlib.sha256(df01).digest()[:8]


def foreign_code(df01: bytes, df02: bytes, *, aid: bytes = AID, before: bytes = b"", after: bytes = b"") -> str:
    transparent = element("63", element("df01", df01) + element("df02", df02))
    application = element("61", element("4f", aid) + transparent)
    return base64.b64encode(element("85", b"CPV01") + before + application + after).decode()
