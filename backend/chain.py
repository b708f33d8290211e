"""The chain of a journal, checked on the fixed front of each entry, without reading what it says.

The one rule: what passes here has its place in the chain beyond doubt; whether it makes sense is asked when it is
posted, and an answer of no sets it aside then. An entry's front is canonical CBOR (``core.journal``), so the bytes
that name lane, epoch, number and the hash before are known in advance and compared as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from agent.core import cbor, journal
from agent.core.journal import ENTRY_BYTES_MAX, Head, JournalError

_UINT: Final = rb"(?:[\x00-\x17]|\x18.|\x19..|\x1a.{4}|\x1b\x00.{7})"
_INT: Final = rb"(?:[\x00-\x17\x20-\x37]|[\x18\x38].|[\x19\x39]..|[\x1a\x3a].{4}|[\x1b\x3b]\x00.{7})"
_TIMES: Final = re.compile(rb"%s\x82[\xf4\xf5]%s%s" % (_UINT, _INT, _UINT), re.DOTALL)
"""recorded_at, clock [bool, int], lease_horizon (RFC 8949 section 3.1). What a horizon means is asked when its entry
is posted: it speaks for the leases of one lender, who is named behind it."""


class Link(NamedTuple):
    """One entry in its place: the bytes, and what of them the books are kept by."""

    number: int
    hash: bytes
    data: bytes


def follow(head: Head, entries: Iterable[bytes]) -> Iterator[Link]:
    """Yield each entry as long as it follows the one before. Raises JournalError as ``core.journal.follow`` does."""
    own = b"\x8d" + cbor.encode(journal.VERSION) + cbor.encode(head.lane) + cbor.encode(head.epoch)
    number, previous = head.number, head.hash
    for data in entries:
        link = _link(own, number + 1, previous, data)
        if link is None:
            raise _reason(Head(head.lane, head.epoch, number, previous), data)
        number, previous = link.number, link.hash
        yield link


def _link(own: bytes, number: int, previous: bytes, data: bytes) -> Link | None:
    """The entry in its place, None if it has another. Plain and flat, because it runs for every entry there is."""
    front = own + _uint(number) + b"X\x20" + previous
    if not data.startswith(front) or len(data) > ENTRY_BYTES_MAX or _TIMES.match(data, len(front)) is None:
        return None
    return Link(number, sha256(data).digest(), data)


def _reason(head: Head, data: bytes) -> JournalError:
    """Why the whole entry, read the slow way, does not follow."""
    try:
        for _ in journal.follow(head, [data]):
            pass
    except JournalError as error:
        return error
    return JournalError("malformed", f"the front of entry {head.number + 1}")


def _uint(value: int) -> bytes:
    """An unsigned integer in its shortest form, the frequent ones without a detour."""
    if 256 <= value < 65_536:
        return b"\x19" + value.to_bytes(2, "big")
    return cbor.encode(value)
