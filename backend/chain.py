"""The chain of a journal, checked on the fixed front of each entry, without reading what it says.

The one rule: what passes here has its place in the chain beyond doubt; whether it makes sense is asked when it is
posted, and an answer of no sets it aside then. An entry's front is canonical CBOR (``core.journal``), so the bytes
that name lane, epoch, number and the hash before are known in advance and compared as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from agent.core import cbor, journal
from agent.core.journal import ENTRY_BYTES_MAX, Head, JournalError

_UINT: Final = rb"(?:[\x00-\x17]|\x18.|\x19..|\x1a.{4}|\x1b\x00.{7})"
_INT: Final = rb"(?:[\x00-\x17\x20-\x37]|[\x18\x38].|[\x19\x39]..|[\x1a\x3a].{4}|[\x1b\x3b]\x00.{7})"
_TIMES: Final = re.compile(rb"%s\x82[\xf4\xf5]%s(%s)" % (_UINT, _INT, _UINT), re.DOTALL)
"""recorded_at, clock [bool, int], lease_horizon (RFC 8949 section 3.1)."""


class Link(NamedTuple):
    """One entry in its place: the bytes, and what of them the books are kept by."""

    number: int
    hash: bytes
    horizon: int
    kind: str
    lender: str | None
    data: bytes


def follow(head: Head, entries: Iterable[bytes]) -> Iterator[Link]:
    """Yield each entry as long as it follows the one before. Raises JournalError as ``core.journal.follow`` does."""
    own = b"\x8d" + cbor.encode(journal.VERSION) + cbor.encode(head.lane) + cbor.encode(head.epoch)
    for data in entries:
        link = _link(head, own, data)
        head = Head(head.lane, head.epoch, link.number, link.hash, link.horizon)
        yield link


def _link(head: Head, own: bytes, data: bytes) -> Link:
    number = head.number + 1
    front = b"%b%bX\x20%b" % (own, _uint(number), head.hash)
    times = _TIMES.match(data, len(front)) if data.startswith(front) and len(data) <= ENTRY_BYTES_MAX else None
    if times is None:
        raise _reason(head, data)
    try:
        horizon = _value(times[1])
        kind, at = _text(data, times.end())
        lender, at = _text(data, at)
    except (IndexError, UnicodeDecodeError):
        raise _reason(head, data) from None
    if horizon < head.lease_horizon or kind is None:
        raise _reason(head, data)
    return Link(number, journal.digest(data), horizon, kind, lender, data)


def _reason(head: Head, data: bytes) -> JournalError:
    """Why the whole entry, read the slow way, does not follow."""
    try:
        for _ in journal.follow(head, [data]):
            pass
    except JournalError as error:
        return error
    return JournalError("malformed", f"the front of entry {head.number + 1}")


def _uint(value: int) -> bytes:
    return bytes((value,)) if value < 24 else cbor.encode(value)


def _value(encoded: bytes) -> int:
    return encoded[0] if len(encoded) == 1 else int.from_bytes(encoded[1:], "big")


def _text(data: bytes, at: int) -> tuple[str | None, int]:
    """The text or null at ``at``, and the place behind it. Raises IndexError, UnicodeDecodeError."""
    first = data[at]
    if first == 0xF6:
        return None, at + 1
    if 0x60 <= first <= 0x77:
        begin, size = at + 1, first - 0x60
    elif first == 0x78 and data[at + 1] <= 64:
        begin, size = at + 2, data[at + 1]
    else:
        raise IndexError
    if begin + size > len(data):
        raise IndexError
    return data[begin : begin + size].decode(), begin + size
