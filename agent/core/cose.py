"""COSE_Sign1 (RFC 9052, RFC 9053) with Ed25519, P-256 or SM2, untagged, empty external_aad, empty unprotected header.

The one rule: the key fixes the algorithm; a message may only agree with it, never choose it.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from agent.core import cbor, sm2

Kind = Literal["ed25519", "p256", "sm2"]

# COSE algorithms (IANA "COSE Algorithms"; RFC 9864): the fully specified one is written, its older name still read.
# SM2 has no number there: algorithm and curve are of the range for private use (below -65536).
SIGNS_WITH: dict[Kind, int] = {"ed25519": -19, "p256": -9, "sm2": -65537}  # Ed25519, ESP256
ACCEPTS: dict[Kind, frozenset[int]] = {
    "ed25519": frozenset({-19, -8}),  # EdDSA
    "p256": frozenset({-9, -7}),  # ES256
    "sm2": frozenset({-65537}),
}

_ALG, _CRIT, _KID, _TYP = 1, 2, 4, 16  # header parameters: RFC 9052 §3.1, RFC 9596 (typ)
_KTY, _KEY_ALG, _KEY_OPS, _CRV, _X, _Y, _D = 1, 3, 4, -1, -2, -3, -4  # COSE_Key: RFC 9052 §7.1, RFC 9053 §7
_OPERATION_VERIFY = 2
_CURVES: dict[tuple[int, int], Kind] = {
    (1, 6): "ed25519",
    (2, 1): "p256",
    (2, -65537): "sm2",
}  # (kty, crv): RFC 9053 §7
_RAW_LENGTHS: dict[Kind, int] = {"ed25519": 32, "p256": 65, "sm2": 65}
_SM2_OID = bytes.fromhex("06082a811ccf5501822d")  # 1.2.156.10197.1.301, the curve of SM2 (GM/T 0006)
_SIGNATURE_LENGTH = 64  # all: R || S (RFC 8032 §5.1.6), r || s (RFC 9053 §2.1)
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # SEC 2 §2.4.2
_P256_HASH = ec.ECDSA(hashes.SHA256())
_P256_DETERMINISTIC = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)  # RFC 6979

# Points of order 1, 2, 4 and 8, sign bit cleared, with their non-canonical forms: under such a key anybody can "sign".
# (Order 8: the two y of 8P = 0 on edwards25519; the tests recompute all of them.)
_P25519 = 2**255 - 19
_SMALL_ORDER = frozenset(y.to_bytes(32, "little") for y in (0, 1, _P25519 - 1, _P25519, _P25519 + 1)) | {
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
}


class CoseError(Exception):
    """A key or a signed message is refused. `reason` is a short stable id, the message a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that is known to be usable: right length, on its curve, not of small order.

    `raw` is the 32-byte x of Ed25519 (RFC 8032) or the 65-byte uncompressed point 04 || x || y of P-256 or SM2
    (SEC 1 §2.3.3). An SM2 key is known whether or not its library is installed. Raises CoseError("key_malformed").
    """

    kind: Kind
    raw: bytes

    def __post_init__(self) -> None:
        if self.kind == "sm2":
            if not sm2.is_point(self.raw):
                raise CoseError("key_malformed", "The point is not on the curve of SM2.")
        else:
            _load(self.kind, self.raw)

    @property
    def kid(self) -> bytes:
        """8 bytes: the start of SHA-256 over the deterministic COSE_Key (kty, crv, x and uncompressed y)."""
        return _kid(self)

    def to_cose_key(self, *, compressed: bool = False) -> dict[cbor.Key, cbor.Value]:
        """The COSE_Key: OKP {1: 1, -1: 6, -2: x} or EC2 {1: 2, -1: crv, -2: x, -3: y}, y a sign bit if compressed."""
        if self.kind == "ed25519":
            return {_KTY: 1, _CRV: 6, _X: self.raw}
        y: bytes | bool = bool(self.raw[64] & 1) if compressed else self.raw[33:]
        return {_KTY: 2, _CRV: 1 if self.kind == "p256" else -65537, _X: self.raw[1:33], _Y: y}

    @classmethod
    def from_cose_key(cls, key: object) -> "PublicKey":
        """Read a COSE_Key map; y may be 32 bytes or the sign bit of a compressed point. Raises CoseError."""
        if not isinstance(key, dict):
            raise CoseError("key_malformed", "The key is not a CBOR map.")
        kty, crv = key.get(_KTY), key.get(_CRV)
        # `type` and not isinstance: true is not the integer 1, neither in CBOR nor here.
        kind = _CURVES.get((kty, crv)) if type(kty) is int and type(crv) is int else None
        if kind is None:
            raise CoseError("key_malformed", "The key is neither Ed25519 (OKP) nor P-256 or SM2 (EC2).")
        if _D in key:
            raise CoseError("key_malformed", "The key contains its private part.")
        _check_use(key, kind)
        x, y = key.get(_X), key.get(_Y)
        if not isinstance(x, bytes) or len(x) != 32:
            raise CoseError("key_malformed", "The x coordinate is not 32 bytes long.")
        return cls(kind, x if kind == "ed25519" else _uncompressed(kind, x, y))

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` (64 bytes, raw) over `message` is this key's. Never raises for bad signatures, but
        CoseError("algorithm_unavailable") where the library that SM2 needs is not installed."""
        if len(signature) != _SIGNATURE_LENGTH:
            return False
        if self.kind == "sm2":
            with _said():
                return sm2.verify(self.raw, signature, message)
        key = _load(self.kind, self.raw)
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, message)
            else:
                r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
                key.verify(encode_dss_signature(r, s), message, _P256_HASH)
        except InvalidSignature:
            return False
        return True


class Signer(Protocol):
    """Whatever signs: a key in memory, or one that never leaves its hardware."""

    @property
    def public(self) -> PublicKey: ...

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A private key in memory. It has no text form but PEM, so that no log shows it."""

    _private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | sm2.PrivateKey

    @classmethod
    def from_seed(cls, kind: Kind, seed: bytes) -> "SigningKey":
        """The key that 32 bytes of randomness make: the Ed25519 seed itself, or a P-256 or SM2 scalar hashed from it.

        512 hash bits reduced modulo n - 1, plus 1: always in [1, n - 1] and without measurable bias (FIPS 186-5 A.2.1).
        """
        if len(seed) != 32:
            raise CoseError("key_malformed", "A seed is 32 bytes long.")
        if kind == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.from_private_bytes(seed))
        wide = int.from_bytes(hashlib.sha512(f"counterfoil {kind} key from seed".encode() + seed).digest(), "big")
        if kind == "sm2":
            with _said():
                return cls(sm2.PrivateKey.from_scalar(wide % (sm2.ORDER - 2) + 1))
        return cls(ec.derive_private_key(wide % (_P256_ORDER - 1) + 1, ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> "SigningKey":
        """Read an unencrypted PKCS #8 PEM. Raises CoseError: key_malformed, algorithm_unavailable."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            if _SM2_OID in _pem_bytes(pem):
                with _said():
                    return cls(sm2.PrivateKey.from_pem(pem))
            raise CoseError("key_malformed", "The file is not an unencrypted PKCS #8 private key.") from error
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return cls(key)
        if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            return cls(key)
        raise CoseError("key_malformed", "The private key is neither Ed25519 nor P-256.")

    def to_pem(self) -> bytes:
        """Unencrypted PKCS #8 PEM; the caller protects the file."""
        if isinstance(self._private, sm2.PrivateKey):
            return self._private.to_pem()
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def public(self) -> PublicKey:
        """The public half."""
        if isinstance(self._private, sm2.PrivateKey):
            return PublicKey("sm2", self._private.point)
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return PublicKey("ed25519", self._private.public_key().public_bytes_raw())
        point = self._private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return PublicKey("p256", point)

    def sign(self, message: bytes) -> bytes:
        """64 raw bytes; the same message gives the same signature (RFC 8032, RFC 6979), but with SM2."""
        if isinstance(self._private, sm2.PrivateKey):
            return self._private.sign(message)
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return self._private.sign(message)
        r, s = decode_dss_signature(self._private.sign(message, _P256_DETERMINISTIC))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class Signed:
    """A COSE_Sign1 taken apart. Until verify1 has returned it, nothing in it is true."""

    alg: int
    kid: bytes | None
    typ: str | None
    payload: bytes
    signature: bytes
    to_be_signed: bytes


def sign1(payload: bytes, key: Signer, *, kid: bytes | None = None, typ: str | None = None) -> bytes:
    """COSE_Sign1 over `payload`, protected header {1: alg, 4: kid, 16: typ} with what is given."""
    header: dict[int, cbor.Value] = {_ALG: SIGNS_WITH[key.public.kind]}
    if kid is not None:
        header[_KID] = kid
    if typ is not None:
        header[_TYP] = typ
    protected = cbor.encode(header)
    return cbor.encode([protected, {}, payload, key.sign(_to_be_signed(protected, payload))])


def parse1(data: bytes) -> Signed:
    """Take a COSE_Sign1 apart, trusting nothing; deterministic encoding is not insisted on. Raises CoseError."""
    try:
        match cbor.decode(data, deterministic=False, depth_max=2):
            case [bytes() as protected, dict() as unprotected, bytes() as payload, bytes() as signature]:
                header = cbor.decode(protected, deterministic=False, depth_max=4)
            case _:
                raise CoseError("malformed", "The message is not a COSE_Sign1 of four parts.")
    except cbor.CborError as error:
        raise CoseError("malformed", f"The message is not readable CBOR: {error}.") from error
    if unprotected:
        raise CoseError("header_unprotected", "The message carries header fields that its signature does not cover.")
    if not isinstance(header, dict):
        raise CoseError("malformed", "The protected header is not a CBOR map.")
    alg, kid, typ = _header_fields(header)
    return Signed(alg, kid, typ, payload, signature, _to_be_signed(protected, payload))


def verify1(data: bytes, key: PublicKey, *, typ: str | None) -> Signed:
    """Take a COSE_Sign1 apart and check algorithm, type and signature. `typ=None` demands that there is none.

    Raises CoseError: malformed, header_unprotected, header_critical, algorithm_mismatch, type_mismatch, signature_bad.
    """
    return check1(parse1(data), key, typ=typ)


def check1(signed: Signed, key: PublicKey, *, typ: str | None) -> Signed:
    """verify1 for a message that parse1 has already taken apart (to find its key by kid)."""
    if signed.alg not in ACCEPTS[key.kind]:
        raise CoseError("algorithm_mismatch", "The message names an algorithm that does not belong to the key.")
    if signed.typ != typ:
        raise CoseError("type_mismatch", f"The message is of type {signed.typ!r}, expected was {typ!r}.")
    if not key.verify(signed.signature, signed.to_be_signed):
        raise CoseError("signature_bad", "The signature does not fit the message and the key.")
    return signed


def _header_fields(header: Mapping[cbor.Key, cbor.Value]) -> tuple[int, bytes | None, str | None]:
    """alg, kid and typ; other labels are ignored unless the message calls them critical (RFC 9052 §3.1)."""
    if _CRIT in header:
        raise CoseError("header_critical", "The message demands header fields that are not known here.")
    if any(header.get(label, 0) is None for label in (_KID, _TYP)):
        raise CoseError("malformed", "A header field is there, but null.")
    alg, kid, typ = header.get(_ALG), header.get(_KID), header.get(_TYP)
    if type(alg) is not int:
        raise CoseError("malformed", "The protected header names no algorithm.")
    if not (kid is None or isinstance(kid, bytes)) or not (typ is None or isinstance(typ, str)):
        raise CoseError("malformed", "The key id is not a byte string, or the type not a text.")
    return alg, kid, typ


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """Sig_structure (RFC 9052 §4.4)."""
    return cbor.encode(["Signature1", protected, b"", payload])


def _check_use(key: Mapping[object, object], kind: Kind) -> None:
    """A key that says what it is for must be for this (RFC 9052 §7.1)."""
    algorithm, operations = key.get(_KEY_ALG), key.get(_KEY_OPS)
    if algorithm is not None and not (isinstance(algorithm, int) and algorithm in ACCEPTS[kind]):
        raise CoseError("key_malformed", "The key is restricted to another algorithm.")
    if operations is not None and not (isinstance(operations, list) and _OPERATION_VERIFY in operations):
        raise CoseError("key_malformed", "The key is not meant for verifying.")


def _uncompressed(kind: Kind, x: bytes, y: object) -> bytes:
    if isinstance(y, bytes) and len(y) == 32:
        return b"\x04" + x + y
    if not isinstance(y, bool):
        raise CoseError("key_malformed", "The y coordinate is neither 32 bytes nor a sign bit.")
    if kind == "sm2":
        return sm2.uncompressed(x, is_odd=y) or b""
    try:
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), (b"\x03" if y else b"\x02") + x)
    except ValueError as error:
        raise CoseError("key_malformed", "The point is not on the curve P-256.") from error
    return point.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


@contextmanager
def _said() -> Iterator[None]:
    """What the library of SM2 cannot do, in this layer's words."""
    try:
        yield
    except sm2.Sm2Unavailable as error:
        raise CoseError("algorithm_unavailable", str(error)) from error
    except ValueError as error:
        raise CoseError("key_malformed", "The file is not an unencrypted SM2 private key.") from error


def _pem_bytes(pem: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(line for line in pem.splitlines() if not line.startswith(b"-")))
    except ValueError:
        return b""


@lru_cache(maxsize=4096)
def _load(kind: Kind, raw: bytes) -> ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey:
    """The library's key object, kept: loading a point costs a good part of a verification, and that is in a sale."""
    if len(raw) != _RAW_LENGTHS.get(kind):
        raise CoseError("key_malformed", "The public key does not have the length of its kind.")
    if kind == "ed25519":
        if raw[:31] + bytes([raw[31] & 0x7F]) in _SMALL_ORDER:
            raise CoseError("key_malformed", "The Ed25519 key is a point of small order: anybody could sign for it.")
        return ed25519.Ed25519PublicKey.from_public_bytes(raw)
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    except ValueError as error:
        raise CoseError("key_malformed", "The point is not on the curve P-256.") from error


@lru_cache(maxsize=4096)
def _kid(key: PublicKey) -> bytes:
    return hashlib.sha256(cbor.encode(key.to_cose_key())).digest()[:8]
