"""SM2 signatures with SM3 (GB/T 32918.2, GB/T 32905), for lenders that need China's national algorithms.

The one rule: points and key files are judged here, with or without the library; only signing and verifying need
tongsuopy (extra ``sm``), and where it is missing that is said, never taken for a bad signature.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

try:
    from tongsuopy.crypto import hashes, serialization
    from tongsuopy.crypto.asymciphers import ec
    from tongsuopy.crypto.exceptions import InvalidSignature
except ImportError:
    ec = None

# The recommended curve (GB/T 32918.5, sm2p256v1): y2 = x3 + ax + b over p, a = p - 3; order n.
_P: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
ORDER: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123

MISSING: Final = "This lane cannot check SM2 signatures: install requirements-sm.lock (tongsuopy)."


class Sm2Unavailable(Exception):
    """The library is not installed; the message says what to do."""

    def __init__(self) -> None:
        super().__init__(MISSING)


def is_installed() -> bool:
    """Whether signatures can be made and checked here."""
    return ec is not None


def is_point(raw: bytes) -> bool:
    """Whether 04 || x || y (65 bytes) is a point of the curve; the curve's cofactor is 1, so any will do."""
    x, y = int.from_bytes(raw[1:33], "big"), int.from_bytes(raw[33:], "big")
    return len(raw) == 65 and raw[0] == 4 and x < _P and y < _P and y * y % _P == _right_side(x)


def uncompressed(x: bytes, *, is_odd: bool) -> bytes | None:
    """04 || x || y of a point given by x (32 bytes) and the last bit of y; None if there is none."""
    y = pow(_right_side(int.from_bytes(x, "big")), (_P + 1) // 4, _P)  # p = 3 mod 4
    raw = b"\x04" + x + (y if y & 1 == is_odd else (_P - y) % _P).to_bytes(32, "big")
    return raw if is_point(raw) else None


def verify(raw: bytes, signature: bytes, message: bytes) -> bool:
    """Whether r || s (64 bytes) is a signature under a point, with the default signer's id. Raises Sm2Unavailable."""
    key = _loaded(raw)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < ORDER and 0 < s < ORDER):
        return False
    try:
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SM3()))
    except InvalidSignature:
        return False
    return True


class PrivateKey:
    """A private key in memory. Unlike Ed25519 and P-256 here, SM2 draws a nonce: no two signatures are the same."""

    def __init__(self, key: Any) -> None:
        self._key = key

    @classmethod
    def from_scalar(cls, scalar: int) -> PrivateKey:
        """Of a number in [1, n - 2]. Raises Sm2Unavailable."""
        library = _library()
        return cls(library.derive_private_key(scalar, library.SM2()))

    @classmethod
    def from_pem(cls, pem: bytes) -> PrivateKey:
        """An unencrypted PKCS #8 PEM. Raises Sm2Unavailable, and ValueError if it is none of this curve."""
        library = _library()
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except Exception as error:  # the library has no one type for what it cannot read
            raise ValueError("no SM2 private key") from error
        if not isinstance(getattr(key, "curve", None), library.SM2):
            raise ValueError("no SM2 private key")
        return cls(key)

    def to_pem(self) -> bytes:
        pem: bytes = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return pem

    @property
    def point(self) -> bytes:
        """04 || x || y of the public half."""
        numbers = self._key.public_key().public_numbers()
        x: int = numbers.x
        y: int = numbers.y
        return b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")

    def sign(self, message: bytes) -> bytes:
        """r || s, 64 bytes."""
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SM3())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@lru_cache(maxsize=4096)
def _loaded(raw: bytes) -> Any:
    library = _library()
    x, y = int.from_bytes(raw[1:33], "big"), int.from_bytes(raw[33:], "big")
    return library.EllipticCurvePublicNumbers(x, y, library.SM2()).public_key()


def _right_side(x: int) -> int:
    return (pow(x, 3, _P) - 3 * x + _B) % _P


def _library() -> Any:
    if ec is None:
        raise Sm2Unavailable
    return ec
