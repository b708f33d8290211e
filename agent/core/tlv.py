"""BER-TLV (ISO/IEC 8825-1, as EMV uses it), read strictly and written minimally.

The one rule: definite lengths in their shortest form, every length checked against the input, one level at a time.
"""

from collections.abc import Iterator
from typing import NamedTuple

TAG_BYTES_MAX = 3
LENGTH_MAX = 0xFFFF  # what 82 can express: far more than a code on a phone carries
DEPTH_MAX = 6


class TlvError(ValueError):
    """The bytes are not strict BER-TLV; the message is a sentence. The only exception of this module."""


class Tlv(NamedTuple):
    """One element. `tag` holds the tag's bytes as a number (0x61, 0xDF01), `value` the bytes inside."""

    tag: int
    value: bytes

    @property
    def constructed(self) -> bool:
        """Whether the value is itself a series of elements (bit 6 of the first tag byte, 8825-1 §8.1.2.5)."""
        first = self.tag >> (8 * (_size(self.tag) - 1))
        return bool(first & 0x20)


def read(data: bytes) -> list[Tlv]:
    """The elements of one level, in order, filling `data` to its end. Raises TlvError."""
    elements: list[Tlv] = []
    at = 0
    while at < len(data):
        tag, at = _tag(data, at)
        length, at = _length(data, at)
        if length > len(data) - at:
            raise TlvError("a length points beyond the end of the input")
        elements.append(Tlv(tag, data[at : at + length]))
        at += length
    return elements


def walk(data: bytes, *, depth_max: int = DEPTH_MAX) -> Iterator[tuple[int, Tlv]]:
    """All elements with their depth (0 = outermost), templates before what they hold. Raises TlvError."""
    if depth_max <= 0:
        raise TlvError("templates are nested too deeply")
    for element in read(data):
        yield 0, element
        if element.constructed:
            for depth, inner in walk(element.value, depth_max=depth_max - 1):
                yield depth + 1, inner


def write(tag: int, value: bytes) -> bytes:
    """One element with a minimal length. Raises TlvError for a value above 65,535 bytes."""
    if len(value) > LENGTH_MAX:
        raise TlvError("a value is too long for this profile of BER-TLV")
    length = len(value).to_bytes(_size(len(value)), "big")
    form = bytes([0x80 + len(length)]) if len(value) >= 0x80 else b""
    return tag.to_bytes(_size(tag), "big") + form + length + value


def _size(number: int) -> int:
    return max((number.bit_length() + 7) // 8, 1)


def _tag(data: bytes, at: int) -> tuple[int, int]:
    """The tag at `at`, of up to three bytes, and the place after it (8825-1 §8.1.2)."""
    first = data[at]
    end = at + 1
    if first == 0:
        raise TlvError("a tag is zero, which ends indefinite contents only")
    if first & 0x1F == 0x1F:
        if data[end : end + 1] == b"\x80":
            raise TlvError("a tag is not in its shortest form")
        while data[end : end + 1] >= b"\x80":
            end += 1
        end += 1
    if end > len(data):
        raise TlvError("the input ends inside a tag")
    if end - at > TAG_BYTES_MAX:
        raise TlvError("a tag is too long")
    return int.from_bytes(data[at:end], "big"), end


def _length(data: bytes, at: int) -> tuple[int, int]:
    """The length at `at` and the place after it: short form, 81 or 82, minimal (8825-1 §8.1.3, §10.1)."""
    if at >= len(data):
        raise TlvError("the input ends where a length should be")
    first = data[at]
    if first < 0x80:
        return first, at + 1
    if first not in (0x81, 0x82):
        raise TlvError("a length is indefinite or of more than two bytes")
    end = at + 1 + (first & 0x0F)
    if end > len(data):
        raise TlvError("the input ends inside a length")
    length = int.from_bytes(data[at + 1 : end], "big")
    if length < (0x80 if first == 0x81 else 0x100):
        raise TlvError("a length is not in its shortest form")
    return length, end
