"""COSE_Sign1: the key fixes the algorithm, and nothing outside the signature is believed."""

import hashlib

import cbor2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st

from agent.core import cose
from agent.core.cose import CoseError, Kind, PublicKey, SigningKey

KINDS: tuple[Kind, ...] = ("ed25519", "p256")
SEED = bytes(range(32))


def pem(private: object) -> bytes:
    return private.private_bytes(  # type: ignore[attr-defined,no-any-return]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_ed25519_signs_as_rfc_8032_7_1_test_2() -> None:
    key = SigningKey.from_seed(
        "ed25519", bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    )
    assert key.public.raw.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert key.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_p256_signs_deterministically_as_rfc_6979_a_2_5() -> None:
    scalar = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
    key = SigningKey.from_pem(pem(ec.derive_private_key(scalar, ec.SECP256R1())))
    assert key.sign(b"sample").hex() == (
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_signed_message_is_verified_with_its_payload_and_header(kind: Kind) -> None:
    key = SigningKey.from_seed(kind, SEED)
    signed = cose.verify1(cose.sign1(b"payload", key, kid=b"kid", typ="type"), key.public, typ="type")
    assert (signed.payload, signed.kid, signed.typ, signed.alg) == (b"payload", b"kid", "type", cose.SIGNS_WITH[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_the_bytes_are_those_of_rfc_9052_as_another_encoder_makes_them(kind: Kind) -> None:
    key = SigningKey.from_seed(kind, SEED)
    alg = {"ed25519": -19, "p256": -9}[kind]
    protected = cbor2.dumps({1: alg, 4: b"12345678", 16: "t"})
    signature = key.sign(cbor2.dumps(["Signature1", protected, b"", b"payload"]))
    assert cose.sign1(b"payload", key, kid=b"12345678", typ="t") == cbor2.dumps([protected, {}, b"payload", signature])


def message(key: SigningKey, protected: bytes, *, unprotected: object = None, tail: tuple[object, ...] = ()) -> bytes:
    signature = key.sign(cbor2.dumps(["Signature1", protected, b"", b"payload"]))
    return cbor2.dumps([protected, {} if unprotected is None else unprotected, b"payload", signature, *tail])


@pytest.mark.parametrize(("kind", "alg"), [("ed25519", -8), ("ed25519", -19), ("p256", -7), ("p256", -9)])
def test_the_older_name_of_an_algorithm_is_accepted(kind: Kind, alg: int) -> None:
    key = SigningKey.from_seed(kind, SEED)
    assert cose.verify1(message(key, cbor2.dumps({1: alg})), key.public, typ=None).alg == alg


@pytest.mark.parametrize(
    ("protected", "reason"),
    [
        (cbor2.dumps({1: -9}), "algorithm_mismatch"),
        (cbor2.dumps({1: 5}), "algorithm_mismatch"),
        (cbor2.dumps({1: True}), "malformed"),
        (cbor2.dumps({}), "malformed"),
        (b"", "malformed"),
        (cbor2.dumps([1, -19]), "malformed"),
        (cbor2.dumps({1: -19, 4: "text"}), "malformed"),
        (cbor2.dumps({1: -19, 16: 5}), "malformed"),
        (cbor2.dumps({1: -19, 2: [99], 99: 1}), "header_critical"),
        (cbor2.dumps({1: -19, 16: "t"}), "type_mismatch"),
        (bytes.fromhex("a2013201") + b"\x32", "malformed"),  # alg twice
    ],
)
def test_a_header_that_does_not_fit_the_key_or_the_use_is_refused(protected: bytes, reason: str) -> None:
    key = SigningKey.from_seed("ed25519", SEED)
    with pytest.raises(CoseError) as refused:
        cose.verify1(message(key, protected), key.public, typ=None)
    assert refused.value.reason == reason


def test_a_message_without_the_expected_type_is_refused() -> None:
    key = SigningKey.from_seed("ed25519", SEED)
    with pytest.raises(CoseError, match="type"):
        cose.verify1(cose.sign1(b"", key), key.public, typ="t")


def test_fields_outside_the_signature_tags_and_extra_parts_are_refused() -> None:
    key = SigningKey.from_seed("ed25519", SEED)
    header = cbor2.dumps({1: -19})
    good = message(key, header)
    for data, reason in (
        (message(key, header, unprotected={4: b"kid"}), "header_unprotected"),
        (message(key, header, unprotected=[]), "malformed"),
        (message(key, header, tail=(b"",)), "malformed"),
        (b"\xd2" + good, "malformed"),
        (good + b"\x00", "malformed"),
        (b"", "malformed"),
    ):
        with pytest.raises(CoseError) as refused:
            cose.parse1(data)
        assert refused.value.reason == reason


@pytest.mark.parametrize("kind", KINDS)
@given(place=st.integers(0, 10_000), change=st.integers(1, 255))
def test_no_changed_byte_survives(kind: Kind, place: int, change: int) -> None:
    key = SigningKey.from_seed(kind, SEED)
    data = bytearray(cose.sign1(b"payload", key, kid=b"12345678", typ="t"))
    data[place % len(data)] ^= change
    with pytest.raises(CoseError):
        cose.verify1(bytes(data), key.public, typ="t")


@pytest.mark.parametrize("kind", KINDS)
@given(signature=st.binary(max_size=80))
def test_no_other_bytes_are_a_signature(kind: Kind, signature: bytes) -> None:
    assert not SigningKey.from_seed(kind, SEED).public.verify(signature, b"message")


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.binary(min_size=32, max_size=32))
def test_every_seed_makes_a_key_that_survives_pem_and_cose_key(kind: Kind, seed: bytes) -> None:
    key = SigningKey.from_seed(kind, seed)
    assert SigningKey.from_pem(key.to_pem()).public == key.public
    assert PublicKey.from_cose_key(key.public.to_cose_key()) == key.public
    assert PublicKey.from_cose_key(key.public.to_cose_key(compressed=True)) == key.public


def test_the_key_id_hashes_kty_crv_x_and_uncompressed_y() -> None:
    edwards, nist = (SigningKey.from_seed(kind, SEED).public for kind in KINDS)
    okp = b"\xa3\x01\x01\x20\x06\x21\x58\x20" + edwards.raw
    ec2 = b"\xa4\x01\x02\x20\x01\x21\x58\x20" + nist.raw[1:33] + b"\x22\x58\x20" + nist.raw[33:]
    assert edwards.kid == hashlib.sha256(okp).digest()[:8]
    assert nist.kid == hashlib.sha256(ec2).digest()[:8]


NIST = SigningKey.from_seed("p256", SEED).public.to_cose_key()
EDWARDS = SigningKey.from_seed("ed25519", SEED).public.to_cose_key()
OFF_CURVE_X = (5).to_bytes(32, "big"), (7).to_bytes(32, "big")


@pytest.mark.parametrize(
    "key",
    [
        None,
        [],
        {},
        {**EDWARDS, 1: True},
        {**EDWARDS, 1: 2},
        {**EDWARDS, -1: 4},
        {**EDWARDS, 1: [1]},
        {**EDWARDS, -2: b"short"},
        {**EDWARDS, -2: bytes(32)},
        {**EDWARDS, -4: bytes(32)},
        {**EDWARDS, 3: -9},
        {**EDWARDS, 3: [-19]},
        {**EDWARDS, -1: [6]},
        {**EDWARDS, 4: [1]},
        {**EDWARDS, 4: 2},
        {**NIST, -2: bytes(31)},
        {**NIST, -3: bytes(31)},
        {**NIST, -3: 1},
        {**NIST, -3: NIST[-2]},
        {**NIST, -2: OFF_CURVE_X[0], -3: OFF_CURVE_X[1]},
        {**NIST, -2: b"\xff" * 32, -3: True},
        {**NIST, -4: bytes(32)},
        {label: value for label, value in NIST.items() if label != -3},
    ],
)
def test_a_key_that_is_malformed_off_its_curve_private_or_for_something_else_is_refused(key: object) -> None:
    with pytest.raises(CoseError) as refused:
        PublicKey.from_cose_key(key)
    assert refused.value.reason == "key_malformed"


def test_further_fields_of_a_key_are_ignored_when_they_agree() -> None:
    assert PublicKey.from_cose_key({**EDWARDS, 2: b"kid", 3: -8, 4: [2]}).to_cose_key() == EDWARDS


# edwards25519 in affine coordinates (RFC 8032 §5.1), just enough to find the points of small order again.
PRIME = 2**255 - 19
D = -121665 * pow(121666, -1, PRIME) % PRIME


def square_root(square: int) -> int | None:
    """A root modulo the prime, which is 5 modulo 8 (RFC 8032 §5.1.3)."""
    candidate = pow(square, (PRIME + 3) // 8, PRIME)
    turned = candidate * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    return next((root for root in (candidate, turned) if root * root % PRIME == square % PRIME), None)


def small_order_y() -> set[int]:
    """The y of all points with 8P = 0: 2P = 0 gives y = ±1, 4P = 0 y = 0, and 8P = 0 the roots of D y⁴ + 2y² - 1."""
    # 2P has y = 0 exactly where x² = -y²; on the curve -x² + y² = 1 + D x² y² that is 2y² = 1 - D y⁴.
    root = square_root(1 + D)
    assert root is not None
    found = {0, 1, PRIME - 1}
    for square in ((-1 + root) * pow(D, -1, PRIME) % PRIME, (-1 - root) * pow(D, -1, PRIME) % PRIME):
        y = square_root(square)
        if y is not None:
            found |= {y, PRIME - y}
    return found


def test_every_ed25519_key_of_small_order_is_refused_because_anybody_can_sign_for_it() -> None:
    assert len(small_order_y()) == 5
    spellings = small_order_y() | {PRIME, PRIME + 1}  # two of them have a second, non-canonical spelling
    for y in spellings:
        for sign in (0, 1 << 255):
            with pytest.raises(CoseError):
                PublicKey("ed25519", (y | sign).to_bytes(32, "little"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no key",
        pem(x25519.X25519PrivateKey.generate()),
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(rsa.generate_private_key(65537, 1024)),
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        ),
    ],
    ids=["nothing", "text", "x25519", "p384", "rsa", "encrypted"],
)
def test_a_file_that_holds_no_usable_private_key_is_refused(data: bytes) -> None:
    with pytest.raises(CoseError):
        SigningKey.from_pem(data)


def test_a_private_key_does_not_show_in_text() -> None:
    key = SigningKey.from_seed("ed25519", SEED)
    assert SEED.hex() not in repr(key)
    assert "bytes" not in repr(key)
