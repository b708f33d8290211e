"""A map of claims, of which the reader knows only some.

The one rule: what is known is read as strictly as everything else; what is unknown needs only to be well formed
(RFC 8949 appendix C), so that whoever issues claims may add some of any kind before every reader knows them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from agent.core import cbor
from agent.core.cbor import DEPTH_MAX, CborError

_INDEFINITE: Final = 31
_BREAK: Final = 0xFF
_SIMPLE_MIN: Final = 32
"""A simple value in a byte of its own is at least this (RFC 8949 section 3.3)."""


def read_claims(data: bytes, names: Collection[cbor.Key]) -> dict[cbor.Key, cbor.Value]:
    """The claims called `names` in a CBOR map that fills `data`; all others are skipped, whatever they hold.

    A known value is refused as by `cbor.decode` with any order of keys; an unknown one if it is not well formed or
    nested deeper than DEPTH_MAX; a key that appears twice always. Raises CborError, whatever the bytes.
    """
    major, count, at = _head(data, 0)
    if major != 5 or count is None:
        raise CborError("the claims are not a map of known length")
    claims: dict[cbor.Key, cbor.Value] = {}
    seen: set[cbor.Key | bytes] = set()
    for _ in range(count):
        start, at = at, _end(data, at, DEPTH_MAX - 1)
        key = _key(data[start:at])
        if key in seen:
            raise CborError("a claim appears twice")
        seen.add(key)
        start, at = at, _end(data, at, DEPTH_MAX - 1)
        if not isinstance(key, bytes) and key in names:
            claims[key] = cbor.decode(data[start:at], deterministic=False, depth_max=DEPTH_MAX - 1)
    if at != len(data):
        raise CborError(f"{len(data) - at} bytes follow the end of the claims")
    return claims


def _key(encoded: bytes) -> cbor.Key | bytes:
    """A name that a known claim could have; any other key stays what it is: bytes that are told apart."""
    try:
        key = cbor.decode(encoded, deterministic=False, depth_max=0)
    except CborError:
        return encoded
    return key if isinstance(key, (int, str)) and not isinstance(key, bool) else encoded  # true is no 1


def _end(data: bytes, at: int, depth_left: int) -> int:
    """Where the item that begins at `at` ends."""
    major, argument, at = _head(data, at)
    if major in (0, 1, 7):
        return at
    if major in (2, 3):
        return _end_of_pieces(data, at, major) if argument is None else _within(data, at + argument)
    if depth_left <= 0:
        raise CborError("the value is nested too deeply")
    if argument is None:
        return _end_of_open(data, at, major, depth_left - 1)
    for _ in range({4: argument, 5: 2 * argument, 6: 1}[major]):
        at = _end(data, at, depth_left - 1)
    return at


def _end_of_pieces(data: bytes, at: int, major: int) -> int:
    """A string of indefinite length: pieces of its own kind, each of a known length."""
    while _byte(data, at) != _BREAK:
        piece, length, at = _head(data, at)
        if piece != major or length is None:
            raise CborError("a string of indefinite length holds something else than its pieces")
        at = _within(data, at + length)
    return at + 1


def _end_of_open(data: bytes, at: int, major: int, depth_left: int) -> int:
    """An array or map of indefinite length."""
    while _byte(data, at) != _BREAK:
        for _ in range(2 if major == 5 else 1):
            at = _end(data, at, depth_left)
    return at + 1


def _head(data: bytes, at: int) -> tuple[int, int | None, int]:
    """Major type, argument (None: indefinite) and the place after them."""
    first = _byte(data, at)
    major, info = first >> 5, first & 31
    if info < 24:
        return major, info, at + 1
    if info == _INDEFINITE and major in (2, 3, 4, 5):
        return major, None, at + 1
    if info > 27:
        raise CborError("a reserved form, or a break where a value should begin")
    end = _within(data, at + 1 + (1 << info - 24))
    argument = int.from_bytes(data[at + 1 : end], "big")
    if major == 7 and info == 24 and argument < _SIMPLE_MIN:
        raise CborError("a simple value is not well formed")
    return major, argument, end


def _byte(data: bytes, at: int) -> int:
    return data[_within(data, at + 1) - 1]


def _within(data: bytes, end: int) -> int:
    if end > len(data):
        raise CborError("the input ends inside a value")
    return end
