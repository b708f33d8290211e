"""Writes one layer of a credit snapshot from a stream of records.

The one rule: the header is written last, so what a refusal or a crash leaves behind is no layer. Records are never
held: memory is two pages, and 32 bytes for each page written (0.2 bytes an account).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from itertools import groupby, islice
from typing import BinaryIO, TypeAlias

from agent.core.snapshot_layer import (
    DIGEST_BYTES,
    KEY_BYTES,
    PAGE_BYTES,
    RECORDS_MAX,
    TOKEN_BYTES,
    Header,
    Record,
    SnapshotError,
    pack_header,
    pack_page,
    pack_value,
    page_count_for,
    page_of,
)
from agent.core.snapshot_manifest import Manifest

Entry: TypeAlias = tuple[bytes, bytes]  # key, value
VALID_UNIT_S = 3600  # a valid-until to the hour, at most 255 hours ahead


def build_layer(
    records: Iterable[Record],
    record_count: int,
    manifest: Manifest,
    sign: Callable[[dict[str, object]], bytes],
    out: BinaryIO,
    *,
    valid_unit_s: int = VALID_UNIT_S,
) -> bytes:
    """Write a layer of `record_count` records, which arrive in the order of their tokens, to an empty seekable file.

    `sign` makes the COSE_Sign1 bytes of a payload; the manifest's `records` and `digest` are filled in here. Returns
    the layer's own digest, which the next delta names as `below`: SHA-256 of the signed manifest.
    Raises SnapshotError: unsorted, key_collision, value_out_of_range, count_wrong.
    """
    pages = _Pages(out, page_count_for(record_count))
    written = 0
    entries = _entries(records, manifest.built_at, valid_unit_s)
    for index, group in groupby(entries, key=lambda entry: page_of(entry[0], pages.page_count)):
        written += pages.write_data(index, group)
    if written != record_count:
        raise SnapshotError("count_wrong", f"{written} records came where {record_count} were announced")
    overflow_page_count = pages.finish()
    header = Header(
        pages.page_count, overflow_page_count, record_count, valid_unit_s, manifest.built_at, manifest.currency
    )
    digests = pages.table(header)
    signed = sign(replace(manifest, records=record_count, digest=sha256(digests).digest()).encode())
    out.seek(header.digests_at)
    out.write(digests + signed)
    out.seek(0)
    out.write(pack_header(header))
    return sha256(signed).digest()


def _entries(records: Iterable[Record], built_at: int, valid_unit_s: int) -> Iterator[Entry]:
    """Turn records into keys and values, refusing whatever is out of order or out of range."""
    last = b""
    for record in records:
        key = record.token[:KEY_BYTES]
        if len(record.token) != TOKEN_BYTES:
            raise SnapshotError("value_out_of_range", f"token {record.token.hex()} is not {TOKEN_BYTES} bytes long")
        if key <= last and last:
            same = key == last
            raise SnapshotError("key_collision" if same else "unsorted", f"token {key.hex()} follows {last.hex()}")
        last = key
        yield key, pack_value(record, built_at, valid_unit_s)


class _Pages:
    """Places data pages and overflow pages in the file. Data pages are written in order, and gaps are filled.

    The overflow of all data pages is one sequence in key order, cut into pages; so few pages that overflow by a little
    cost little.
    """

    def __init__(self, out: BinaryIO, page_count: int) -> None:
        self.page_count = page_count
        self._out = out
        self._digests = bytearray(DIGEST_BYTES)  # page 0 is the header, which is known last
        self._overflow_digests = bytearray()
        self._overflow: list[Entry] = []
        self._overflow_index = 1 + page_count
        self._data_index = 1

    def write_data(self, index: int, entries: Iterator[Entry]) -> int:
        """Write the entries of data page `index`, and its overflow; returns how many there were."""
        self._fill_up_to(index)
        page = list(islice(entries, RECORDS_MAX))
        excess = next(entries, None)
        if excess is None:
            self._write_next(pack_page(index, 0, page))
            return len(page)
        if len(self._overflow) == RECORDS_MAX:
            self._write_overflow(goes_on=False)
        self._write_next(pack_page(index, self._overflow_index, page))
        self._overflow.append(excess)
        count = len(page) + 1
        for entry in entries:
            if len(self._overflow) == RECORDS_MAX:
                self._write_overflow(goes_on=True)
            self._overflow.append(entry)
            count += 1
        return count

    def finish(self) -> int:
        """Write what is still open; returns the number of overflow pages."""
        self._fill_up_to(1 + self.page_count)
        if self._overflow:
            self._write_overflow(goes_on=False)
        return len(self._overflow_digests) // DIGEST_BYTES

    def table(self, header: Header) -> bytes:
        """The digests of all pages in order of their index, the header page first."""
        self._digests[:DIGEST_BYTES] = sha256(pack_header(header)).digest()
        return bytes(self._digests + self._overflow_digests)

    def _fill_up_to(self, index: int) -> None:
        for empty in range(self._data_index, index):
            self._write_next(pack_page(empty, 0, ()))

    def _write_next(self, page: bytes) -> None:
        self._out.seek(self._data_index * PAGE_BYTES)
        self._out.write(page)
        self._digests += sha256(page).digest()
        self._data_index += 1

    def _write_overflow(self, *, goes_on: bool) -> None:
        """Write the open overflow page; `goes_on`: the data page whose entry came last has more in the next one."""
        index = self._overflow_index
        page = pack_page(index, index + 1 if goes_on else 0, self._overflow)
        self._out.seek(index * PAGE_BYTES)
        self._out.write(page)
        self._overflow_digests += sha256(page).digest()
        self._overflow.clear()
        self._overflow_index += 1
