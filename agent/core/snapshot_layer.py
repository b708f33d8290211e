"""The bytes of one layer of the credit snapshot: header page, pages of records, values.

The one rule: fixed sizes, little-endian, and nothing left open: every bit that has no meaning is zero and is checked,
so one set of records has one reading. The file is

    header page | data pages | overflow pages | SHA-256 of each of these pages | COSE_Sign1 manifest, to the end

A page holds its keys first and its values after them, both in key order. The first 10 bytes of an account token are
its key; the key as a fraction of 2^80 names its data page, so a lookup reads one page. What does not fit the data page
goes, as the greater keys, to an overflow page, which pages share: a lookup goes there only beyond the last key.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Reason: TypeAlias = Literal[
    "header_malformed",  # not a layer, another version, or offsets and sizes that do not fit each other or the file
    "manifest_untrusted",  # the signature, its key or its type is refused
    "manifest_malformed",  # signed, but a field is missing, out of range or contradicts the header
    "digests_wrong",  # the table of page digests, or the header page, is not the one that the manifest signs
    "page_wrong_digest",  # a page is not the one that was signed
    "page_malformed",  # a page is as signed, but breaks the layout
    "unreadable",  # the disk does not give the bytes
    "unsorted",  # builder: records not in the order of their tokens
    "key_collision",  # builder: two tokens agree in their first 10 bytes
    "value_out_of_range",  # builder: a figure does not fit its field
    "count_wrong",  # builder: more or fewer records than announced
    "stack_broken",  # layers that do not belong on top of each other, or too many of them
    "sequence_backwards",  # an older snapshot than one that was already seen
    "stack_unreadable",  # the list of installed layers is damaged, or a layer of it is missing
    "unwritable",  # the disk does not take the layer; open the stack again to learn whether it is installed
    "not_as_checked",  # the file to install is not the file that was checked
]


class SnapshotError(Exception):
    """A layer, a stack or a record is refused. `reason` is a stable id, the message a sentence. The only exception."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Record:
    """What a lane must know of an account. A `removed` record says that the account may no longer be served here.

    `place` is in whole kilometres east and north of the manifest's origin, clamped to -2048..2046.
    """

    token: bytes  # 16 bytes; only the first 10 are stored
    allowance_minor: int  # u32
    valid_until_s: int  # rounded down to the layer's unit; 0 when read back: already lapsed when the layer was built
    tier: int = 0  # 0..7
    blocked: bool = False
    step_up: bool = False  # the phone must say that it verified its user, whatever the amount
    removed: bool = False
    purpose_bound: bool = False  # the credit is for a purpose: the policy excludes categories
    place: tuple[int, int] | None = None
    last_seen_s: int | None = None  # read back to the minute, rounded up to the later one: never makes a trip slower


# --- sizes ---------------------------------------------------------------------------------------------------------
PAGE_BYTES = 4096
TOKEN_BYTES = 16
KEY_BYTES = 10
KEY_BITS = 8 * KEY_BYTES
DIGEST_BYTES = 32  # SHA-256 (FIPS 180-4)
_PAGE_HEADER = struct.Struct("<HHIII")  # records, 0, overflow page or 0, own index, 0
_VALUE = struct.Struct("<IBB3sH")  # allowance, valid-until, tier and flags, place, last seen
KEYS_AT = _PAGE_HEADER.size
VALUE_BYTES = _VALUE.size
RECORDS_MAX = (PAGE_BYTES - KEYS_AT) // (KEY_BYTES + VALUE_BYTES)  # 194 on a page
FILL_PERCENT = 92  # of a page on average: 0.5 % of the records overflow; fuller makes misses slower for 2 % less size

# --- fields of a value ---------------------------------------------------------------------------------------------
ALLOWANCE_MAX_MINOR = 2**32 - 1
VALID_UNITS_MAX = 255
TIER_MAX = 7
_BLOCKED, _STEP_UP, _REMOVED, _PURPOSE_BOUND = 8, 16, 32, 64
FLAGS_END = 128  # bit 7 has no meaning
_MEANING_OF_FLAGS = tuple(  # tier, blocked, step-up, removed, purpose-bound
    (byte & TIER_MAX, *(bool(byte & bit) for bit in (_BLOCKED, _STEP_UP, _REMOVED, _PURPOSE_BOUND)))
    for byte in range(FLAGS_END)
)
_CELL_ORIGIN = 2048
_CELL_MAX = 4094
_PLACE_UNKNOWN = b"\xff\xff\xff"
_CELL_UNKNOWN = 4095
MINUTES_UNKNOWN = 65535


@dataclass(frozen=True, slots=True)
class Header:
    """The first page. The manifest runs from `manifest_at` to the end of the file."""

    page_count: int
    overflow_page_count: int
    record_count: int
    valid_unit_s: int  # what one step of a valid-until is worth, in seconds
    built_at: int  # seconds UTC
    currency: str  # ISO 4217 alphabetic code

    @property
    def pages_end(self) -> int:
        """One more than the greatest page index: the header is page 0, data pages begin at 1."""
        return 1 + self.page_count + self.overflow_page_count

    @property
    def digests_at(self) -> int:
        """Offset of the table of page digests, in bytes."""
        return self.pages_end * PAGE_BYTES

    @property
    def manifest_at(self) -> int:
        """Offset of the manifest, in bytes."""
        return self.digests_at + self.pages_end * DIGEST_BYTES


MAGIC = b"CFSNAP01"
VERSION = 1
# magic, version, data pages, overflow pages, records, digest table offset and length, manifest offset,
# valid-until unit, built at, currency
_HEADER = struct.Struct("<8sHIIQQQQIQ3s")


def pack_header(header: Header) -> bytes:
    """The header page. Raises SnapshotError("value_out_of_range")."""
    table_bytes = header.manifest_at - header.digests_at
    places = (header.digests_at, table_bytes, header.manifest_at)
    counts = (header.page_count, header.overflow_page_count, header.record_count)
    try:
        fields = (header.valid_unit_s, header.built_at, header.currency.encode())
        return _HEADER.pack(MAGIC, VERSION, *counts, *places, *fields).ljust(PAGE_BYTES, b"\0")
    except struct.error as error:
        raise SnapshotError("value_out_of_range", f"the header cannot express this layer: {error}") from error


def unpack_header(page: bytes) -> Header:
    """Read a header page that may be hostile. Raises SnapshotError("header_malformed")."""
    if len(page) != PAGE_BYTES or page[: len(MAGIC)] != MAGIC:
        raise SnapshotError("header_malformed", "this is not a layer of a credit snapshot")
    _, version, pages, overflow, records, *_, unit_s, built_at, currency = _HEADER.unpack_from(page)
    if version != VERSION:
        raise SnapshotError("header_malformed", f"version {version} of the layer format is unknown here")
    if not (pages and unit_s and currency.isascii() and currency.isalpha() and currency.isupper()):
        raise SnapshotError("header_malformed", "page count, unit or currency of the header has no meaning")
    header = Header(pages, overflow, records, unit_s, built_at, currency.decode())
    # Offsets follow from the counts, and the rest is zero: so the page is right if it is what we would write.
    if header.pages_end >= 2**32 or pack_header(header) != page:
        raise SnapshotError("header_malformed", "offsets and lengths of the header contradict its counts")
    return header


def page_count_for(record_count: int) -> int:
    """Data pages for so many records, at the usual fill; at least one."""
    return max(1, -(-record_count * 100 // (RECORDS_MAX * FILL_PERCENT)))


def page_of(key: bytes, page_count: int) -> int:
    """The index of the data page that a 10-byte key belongs to: 1..page_count, an even and monotonic spread."""
    return 1 + (int.from_bytes(key, "big") * page_count >> KEY_BITS)


def pack_page(index: int, overflow: int, entries: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A page of (key, value) pairs, at most RECORDS_MAX, already in key order; `overflow` is a page index or 0."""
    keys, values = b"".join(key for key, _ in entries), b"".join(value for _, value in entries)
    return (_PAGE_HEADER.pack(len(entries), 0, overflow, index, 0) + keys + values).ljust(PAGE_BYTES, b"\0")


def unpack_page_header(page: bytes, index: int, pages_end: int) -> tuple[int, int]:
    """The record count and the overflow page (0: none) of page `index`. Raises SnapshotError("page_malformed").

    Overflow leads to greater indexes only, so a walk always ends.
    """
    count, reserved, overflow, own_index, zero = _PAGE_HEADER.unpack_from(page)
    if own_index != index or reserved or zero or count > RECORDS_MAX or (overflow and not index < overflow < pages_end):
        raise SnapshotError("page_malformed", f"page {index} has a malformed header")
    return count, overflow


def find_key(page: bytes, count: int, key: bytes) -> int | None:
    """The position of a 10-byte key among the `count` keys of a page; None if it is not there."""
    end = KEYS_AT + KEY_BYTES * count
    at = page.find(key, KEYS_AT, end)  # faster than a bisection in Python, but it also finds what straddles two keys
    while at >= 0:
        position, astray = divmod(at - KEYS_AT, KEY_BYTES)
        if not astray:
            return position
        at = page.find(key, at + 1, end)
    return None


def is_beyond(page: bytes, count: int, key: bytes) -> bool:
    """Whether a key is greater than every key of the page: only then may it be on the overflow page."""
    end = KEYS_AT + KEY_BYTES * count
    return not count or key > page[end - KEY_BYTES : end]


def pack_value(record: Record, built_at: int, valid_unit_s: int) -> bytes:
    """The 11 bytes of a record beside its key. Raises SnapshotError("value_out_of_range")."""
    valid_units = max(0, (record.valid_until_s - built_at) // valid_unit_s)
    minutes = MINUTES_UNKNOWN if record.last_seen_s is None else (built_at - record.last_seen_s) // 60
    if not (
        0 <= record.allowance_minor <= ALLOWANCE_MAX_MINOR
        and valid_units <= VALID_UNITS_MAX
        and 0 <= record.tier <= TIER_MAX
        and minutes >= 0
    ):
        raise SnapshotError("value_out_of_range", f"a figure of account {record.token.hex()} does not fit its field")
    flags = record.tier | _BLOCKED * record.blocked | _STEP_UP * record.step_up | _REMOVED * record.removed
    flags |= _PURPOSE_BOUND * record.purpose_bound
    minutes = min(minutes, MINUTES_UNKNOWN)
    return _VALUE.pack(record.allowance_minor, valid_units, flags, _pack_place(record.place), minutes)


def unpack_value(token: bytes, page: bytes, count: int, position: int, header: Header) -> Record:
    """The record at a position of a page of `count` records. Raises SnapshotError("page_malformed")."""
    at = KEYS_AT + KEY_BYTES * count + VALUE_BYTES * position
    allowance_minor, valid_units, flags, cells, minutes = _VALUE.unpack_from(page, at)
    if flags >= FLAGS_END:
        raise SnapshotError("page_malformed", "a record has flags without a meaning")
    tier, blocked, step_up, removed, purpose_bound = _MEANING_OF_FLAGS[flags]
    return Record(
        token,
        allowance_minor,
        header.built_at + valid_units * header.valid_unit_s if valid_units else 0,
        tier,
        blocked,
        step_up,
        removed,
        purpose_bound,
        None if cells == _PLACE_UNKNOWN else _unpack_place(cells),
        None if minutes == MINUTES_UNKNOWN else header.built_at - 60 * minutes,
    )


def _pack_place(place: tuple[int, int] | None) -> bytes:
    if place is None:
        return _PLACE_UNKNOWN
    east, north = (min(max(km + _CELL_ORIGIN, 0), _CELL_MAX) for km in place)
    return (east | north << 12).to_bytes(3, "little")


def _unpack_place(cells: bytes) -> tuple[int, int]:
    both = int.from_bytes(cells, "little")
    east, north = both & 0xFFF, both >> 12
    if _CELL_UNKNOWN in (east, north):
        raise SnapshotError("page_malformed", "a record has half a place")
    return east - _CELL_ORIGIN, north - _CELL_ORIGIN
