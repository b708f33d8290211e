"""CBOR (RFC 8949) as Counterfoil writes and reads it: deterministic out, strict in.

The one rule: one value has one encoding (RFC 8949 §4.2.1), and nothing that has two readings is accepted. Only
integers, byte strings, text, booleans, null, arrays and maps exist here; floats, tags, undefined and indefinite
lengths do not, because none of them has a place near money or signatures.
"""

from functools import lru_cache
from typing import TypeAlias

import cbor2

Key: TypeAlias = int | str
Value: TypeAlias = int | bytes | str | bool | list["Value"] | dict[Key, "Value"] | None

INT_MIN = -(2**64)  # the range of major types 0 and 1 (RFC 8949 §3.1); beyond it cbor2 would write a tagged bignum
INT_MAX = 2**64 - 1
DEPTH_MAX = 8  # arrays and maps inside each other

_AS_THEY_ARE = frozenset({str, bytes, bool, type(None)})
_SIMPLE: dict[int, bool | None] = {20: False, 21: True, 22: None}
_LENGTHS = {24: 1, 25: 2, 26: 4, 27: 8}  # additional information -> bytes of the argument that follow
_SMALLEST = {24: 24, 25: 2**8, 26: 2**16, 27: 2**32}  # the smallest argument that needs that many bytes


class CborError(ValueError):
    """The bytes or the value are outside the profile; the message is a sentence. The only exception of this module."""


def encode(value: object, *, depth_max: int = DEPTH_MAX) -> bytes:
    """Encode `value` deterministically (RFC 8949 §4.2.1): shortest forms, map keys in bytewise order.

    Takes int (64 bits and a sign), bytes, str, bool, None, list, tuple and dict with int or str keys, of exactly these
    types; tuples become arrays. Raises CborError for everything else.
    """
    try:
        return cbor2.dumps(_ordered(value, depth_max))
    except UnicodeEncodeError as error:
        raise CborError("a text holds a lone surrogate, which UTF-8 cannot express") from error


def _ordered(value: object, depth_left: int) -> object:
    """Check every type and bring every map into the order in which cbor2 is to write it."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if isinstance(value, int) and kind is int:
        if not INT_MIN <= value <= INT_MAX:
            raise CborError("an integer does not fit 64 bits")
        return value
    if depth_left <= 0:
        raise CborError("the value is nested too deeply")
    if isinstance(value, dict):
        return {key: _ordered(value[key], depth_left - 1) for key in sorted(value, key=_order)}
    if isinstance(value, (list, tuple)):
        return [_ordered(item, depth_left - 1) for item in value]
    raise CborError(f"a value of type {kind.__name__} has no place in this profile of CBOR")


@lru_cache(maxsize=1024, typed=True)  # typed, or the key true would be taken for the key 1
def _order(key: object) -> tuple[int, int, bytes]:
    """Sort keys as their encodings sort bytewise: major type, then argument (shortest forms keep its order), text."""
    if isinstance(key, int) and type(key) is int:
        return (0, key, b"") if key >= 0 else (1, -1 - key, b"")
    if isinstance(key, str) and type(key) is str:
        text = key.encode()
        return (3, len(text), text)
    raise CborError(f"a map key of type {type(key).__name__} has no place in this profile of CBOR")


def decode(data: bytes, *, deterministic: bool = True, depth_max: int = DEPTH_MAX) -> Value:
    """Decode exactly one item that fills `data`; arrays come back as lists.

    Refuses trailing bytes, indefinite lengths, duplicate map keys, floats, tags, undefined, bad UTF-8, lengths beyond
    the input and nesting deeper than `depth_max`; with `deterministic` also integers and lengths that are not in their
    shortest form and maps that are not sorted. Raises CborError, whatever the bytes.
    """
    value, end = _item(data, 0, depth_max, deterministic)
    if end != len(data):
        raise CborError(f"{len(data) - end} bytes follow the end of the value")
    return value


def _item(data: bytes, at: int, depth_left: int, strict: bool) -> tuple[Value, int]:
    """Read one item at `at`; return it with the place after it. Flat, because it runs for every item there is."""
    if at >= len(data):
        raise CborError("the input ends where a value should begin")
    first = data[at]
    at += 1
    major, argument = first >> 5, first & 31
    if major == 7:
        return _simple(argument), at
    if argument >= 24:
        argument, at = _argument(data, at, argument, strict)
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    # An array has at least a byte for each item: a claim of more is refused before anything is reserved for it.
    if argument > len(data) - at:
        raise CborError("a length points beyond the end of the input")
    if major == 2:
        return data[at : at + argument], at + argument
    if major == 3:
        return _text(data[at : at + argument]), at + argument
    if major == 6:
        raise CborError("tags are not accepted")
    if depth_left <= 0:
        raise CborError("the value is nested too deeply")
    read = _array if major == 4 else _map
    return read(data, at, argument, depth_left - 1, strict)


def _argument(data: bytes, at: int, info: int, strict: bool) -> tuple[int, int]:
    length = _LENGTHS.get(info)
    if length is None:
        raise CborError("indefinite lengths and reserved forms are not accepted")
    if at + length > len(data):
        raise CborError("the input ends inside a number or a length")
    argument = int.from_bytes(data[at : at + length], "big")
    if strict and argument < _SMALLEST[info]:
        raise CborError("a number or a length is not in its shortest form")
    return argument, at + length


def _simple(info: int) -> bool | None:
    if info not in _SIMPLE:
        raise CborError("floats, undefined and other simple values are not accepted")
    return _SIMPLE[info]


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise CborError("a text is not UTF-8") from error


def _array(data: bytes, at: int, count: int, depth_left: int, strict: bool) -> tuple[Value, int]:
    items: list[Value] = []
    for _ in range(count):
        item, at = _item(data, at, depth_left, strict)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, count: int, depth_left: int, strict: bool) -> tuple[Value, int]:
    pairs: dict[Key, Value] = {}
    last = b""
    for _ in range(count):
        key, end = _item(data, at, 0, strict)
        if not isinstance(key, (int, str)) or isinstance(key, bool):
            raise CborError("a map key is neither an integer nor a text")
        if key in pairs:
            raise CborError("a map key appears twice")
        encoded = data[at:end]
        if strict and encoded < last:
            raise CborError("the keys of a map are not in bytewise order")
        last = encoded
        pairs[key], at = _item(data, end, depth_left, strict)
    return pairs, at
