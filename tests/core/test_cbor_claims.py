"""Claims: the known are read strictly, the unknown are skipped whatever they hold, and nothing is read twice."""

import struct
from collections.abc import Callable

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.core import cbor
from agent.core.cbor_claims import read_claims

NAMES = frozenset({1, -1, "cap"})


def claim_map(*pairs: bytes) -> bytes:
    return bytes([0xA0 + len(pairs)]) + b"".join(pairs)


WELL_FORMED = [
    ("f97e00", "a half float"), ("fa47c35000", "a float"), ("fb3ff199999999999a", "a double"), ("f7", "undefined"),
    ("f8ff", "a simple value"), ("c074323031332d30332d32315432303a30343a30305a", "a date"),
    ("c249010000000000000000", "a bignum"), ("d818456449455446", "encoded CBOR"), ("a1410102", "a map keyed by bytes"),
    ("a1f5a1f602", "maps keyed by true and null"), ("9f01ff", "an indefinite array"), ("bf0102ff", "an indefinite map"),
    ("5f4100ff", "indefinite bytes"), ("7f6161ff", "indefinite text"), ("a201020103", "a map with a key twice"),
    ("62c328", "text that is no UTF-8"), ("1b0000000000000001", "a long form"),
]  # fmt: skip
NOT_WELL_FORMED = [
    ("1c", "a reserved form"), ("f818", "a simple value in too many bytes"), ("ff", "a break alone"), ("18", "cut off"),
    ("4401", "bytes cut off"), ("5f6161ff", "text among indefinite bytes"), ("5f5f4100ffff", "pieces of pieces"),
    ("9f01", "an array without its end"), ("bf01ff", "half a pair"), ("c1", "a tag of nothing"),
    ("1f", "an open number"), ("5bffffffffffffffff", "a length beyond the input"),
    ("9bffffffffffffffff00", "a count beyond the input"),
    ("81" * 8 + "00", "nested too deeply"), ("c1" * 100_000 + "00", "nested to exhaust the stack"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "what"), WELL_FORMED, ids=[what for _, what in WELL_FORMED])
@pytest.mark.parametrize("key", ["18ff", "6161", "4101", "f5", "f97e00", "c100"])
def test_an_unknown_claim_is_skipped_whatever_its_name_and_value(value: str, what: str, key: str) -> None:
    unknown = bytes.fromhex(key + value)
    assert read_claims(claim_map(b"\x01\x02", unknown, b"\x63cap\x07"), NAMES) == {1: 2, "cap": 7}


@pytest.mark.parametrize(("value", "what"), WELL_FORMED[:-1], ids=[what for _, what in WELL_FORMED[:-1]])
def test_a_known_claim_is_read_as_strictly_as_everything_else(value: str, what: str) -> None:
    with pytest.raises(cbor.CborError):
        read_claims(claim_map(b"\x01" + bytes.fromhex(value)), NAMES)


@pytest.mark.parametrize(("value", "why"), NOT_WELL_FORMED, ids=[why for _, why in NOT_WELL_FORMED])
@pytest.mark.parametrize("as_key", [False, True])
def test_what_is_not_well_formed_is_refused_wherever_it_stands(value: str, why: str, as_key: bool) -> None:
    pair = bytes.fromhex(value) + b"\x00" if as_key else b"\x18\xff" + bytes.fromhex(value)
    with pytest.raises(cbor.CborError):
        read_claims(claim_map(pair), NAMES)


@pytest.mark.parametrize("pair", ["0102", "180102", "18ff00", "6161f4", "4101f4", "f500", "f600"])
def test_a_claim_that_appears_twice_is_refused_known_or_not(pair: str) -> None:
    first = {"180102": "0102"}.get(pair, pair)
    with pytest.raises(cbor.CborError, match="twice"):
        read_claims(claim_map(bytes.fromhex(first), bytes.fromhex(pair)), NAMES)


def test_the_key_true_is_not_the_claim_1() -> None:
    assert read_claims(claim_map(b"\xf5\x09", b"\x01\x02"), NAMES) == {1: 2}


@pytest.mark.parametrize("data", ["", "80", "01", "bf0102ff", "a0ff", "a1", "f6"])
def test_claims_are_one_map_of_known_length_that_fills_its_bytes(data: str) -> None:
    with pytest.raises(cbor.CborError):
        read_claims(bytes.fromhex(data), NAMES)


floats = st.floats(allow_nan=False)
tags = st.builds(cbor2.CBORTag, st.integers(40_000, 2**32), st.integers(0, 9))
strange = st.recursive(
    floats
    | tags
    | st.binary(max_size=9)
    | st.integers(-(2**70), 2**70)
    | st.just(cbor2.undefined)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.binary(max_size=3) | floats, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=6) | st.binary(max_size=6) | st.integers(2, 99), strange, max_size=5))
def test_claims_that_others_encode_are_read_past(unknown: dict[object, object]) -> None:
    unknown.pop("cap", None)
    assert read_claims(cbor2.dumps({**unknown, 1: 5, "cap": [1, {"a": None}]}), NAMES) == {
        1: 5,
        "cap": [1, {"a": None}],
    }


@given(st.binary(max_size=40))
@example(b"\xa1\x01" + b"\xfb" + struct.pack(">d", 1.0))
def test_any_bytes_are_refused_or_agree_with_the_strict_reader(data: bytes) -> None:
    def read(reader: Callable[[], object]) -> object:
        try:
            return reader()
        except cbor.CborError:
            return None

    claims = read(lambda: read_claims(data, NAMES))
    strict = read(lambda: cbor.decode(data, deterministic=False))
    if isinstance(strict, dict):  # else it is no map, or holds an unknown claim that only the reader of claims skips
        assert claims == {key: value for key, value in strict.items() if key in NAMES}
