"""CBOR: one value has one encoding, and bytes with two readings have none."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import cbor

# RFC 8949 Appendix A, the rows inside the profile.
VECTORS = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-1, "20"),
    (-10, "29"),
    (-1000, "3903e7"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ("IETF", "6449455446"),
    ("\u6c34", "63e6b0b4"),
    ([], "80"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"),
    ({1: 2, 3: 4}, "a201020304"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
]


@pytest.mark.parametrize(("value", "encoded"), VECTORS)
def test_the_vectors_of_rfc_8949_hold_in_both_directions(value: object, encoded: str) -> None:
    assert cbor.encode(value).hex() == encoded
    assert cbor.decode(bytes.fromhex(encoded)) == value
    assert type(cbor.decode(bytes.fromhex(encoded))) is type(value)


def test_map_keys_are_sorted_bytewise_by_their_encoding_as_in_rfc_8949_4_2_1() -> None:
    # The order of the RFC's own example: 10, 100, -1, "z", "aa" (its array and false keys are outside the profile).
    shuffled = {"aa": 5, -1: 3, "z": 4, 100: 2, 10: 1}
    assert cbor.encode(shuffled).hex() == "a5" + "0a01" + "186402" + "2003" + "617a04" + "62616105"


REFUSED_ALWAYS = [
    ("", "nothing at all"),
    ("0000", "trailing bytes"),
    ("9fff", "an indefinite array"),
    ("bfff", "an indefinite map"),
    ("5f4100ff", "indefinite bytes"),
    ("7f6161ff", "indefinite text"),
    ("a2010203", "a map that ends early"),
    ("a201020103", "a duplicate key"),
    ("a20102180103", "a duplicate key in a longer form"),
    ("f97e00", "a half float"),
    ("fb3ff0000000000000", "a double"),
    ("c100", "a tag"),
    ("c249010000000000000000", "a bignum"),
    ("f7", "undefined"),
    ("f0", "an unassigned simple value"),
    ("f8ff", "a simple value of two bytes"),
    ("ff", "a break without a beginning"),
    ("1c", "reserved additional information"),
    ("18", "a number cut off"),
    ("62c328", "bad UTF-8"),
    ("63eda080", "a surrogate in UTF-8"),
    ("4401", "bytes cut off"),
    ("5bffffffffffffffff00", "a length beyond the input"),
    ("9bffffffffffffffff00", "a count beyond the input"),
    ("bbffffffffffffffff00", "a map count beyond the input"),
    ("a1f500", "a boolean key"),
    ("a1f600", "a null key"),
    ("a1410000", "a bytes key"),
    ("a18000", "an array key"),
    ("81" * 9 + "00", "nesting deeper than allowed"),
    ("a100" * 9 + "00", "maps nested deeper than allowed"),
    ("81" * 100_000, "nesting made to exhaust the stack"),
]


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize(("encoded", "why"), REFUSED_ALWAYS, ids=[why for _, why in REFUSED_ALWAYS])
def test_ambiguous_or_foreign_bytes_are_refused(encoded: str, why: str, deterministic: bool) -> None:
    with pytest.raises(cbor.CborError):
        cbor.decode(bytes.fromhex(encoded), deterministic=deterministic)


@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ("1817", 23),
        ("1900ff", 255),
        ("1a0000ffff", 65535),
        ("1b00000000ffffffff", 2**32 - 1),
        ("3800", -1),
        ("580161", b"a"),
        ("780161", "a"),
        ("980101", [1]),
        ("b8010102", {1: 2}),
        ("a202010102", {2: 1, 1: 2}),
        ("a2616101200a", {"a": 1, -1: 10}),
    ],
)
def test_other_encodings_of_a_value_are_read_only_when_asked(encoded: str, value: object) -> None:
    assert cbor.decode(bytes.fromhex(encoded), deterministic=False) == value
    with pytest.raises(cbor.CborError):
        cbor.decode(bytes.fromhex(encoded))


def test_the_allowed_depth_is_exact_in_both_directions() -> None:
    eight = b"\x81" * 7 + b"\x80"
    assert cbor.encode(cbor.decode(eight)) == eight
    with pytest.raises(cbor.CborError):
        cbor.decode(b"\x81" + eight)
    with pytest.raises(cbor.CborError):
        cbor.encode([cbor.decode(eight)])
    assert cbor.encode(cbor.decode(b"\x81" + eight, depth_max=9), depth_max=9) == b"\x81" + eight


@pytest.mark.parametrize(
    "value",
    [1.0, 2**64, -(2**64) - 1, {1.5: 1}, {True: 1}, {b"a": 1}, {None: 1}, {1}, object(), "\ud800", {"\udfff": 1}],
)
def test_what_has_no_place_in_the_profile_is_not_encoded(value: object) -> None:
    with pytest.raises(cbor.CborError):
        cbor.encode(value)


keys = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=30)
leaves = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


@given(values)
def test_decoding_undoes_encoding_and_an_independent_decoder_agrees(value: object) -> None:
    encoded = cbor.encode(value, depth_max=20)
    assert cbor.decode(encoded, depth_max=20) == value
    assert cbor2.loads(encoded) == value


@given(st.dictionaries(keys, st.integers(0, 9), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_the_order_in_which_a_map_was_made_does_not_show(pairs: dict[int | str, int], random: object) -> None:
    items = list(pairs.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert cbor.encode(dict(items)) == cbor.encode(pairs)


@given(st.binary(max_size=60))
def test_whatever_is_accepted_as_deterministic_encodes_to_the_same_bytes(data: bytes) -> None:
    try:
        value = cbor.decode(data)
    except cbor.CborError:
        return
    assert cbor.encode(value) == data
