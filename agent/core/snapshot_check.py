"""Reads a whole layer once, before it is installed or when a field engineer asks whether it is sound.

The one rule: a layer passes only if a lookup finds every record that the manifest counts, and nothing else is in its
pages. That is some 30 microseconds of work a page, so it runs beside the process that serves sales, not in it.
"""

from operator import lt

from agent.core.snapshot_layer import (
    FLAGS_END,
    KEY_BYTES,
    KEYS_AT,
    RECORDS_MAX,
    VALUE_BYTES,
    SnapshotError,
    page_of,
    unpack_page_header,
)
from agent.core.snapshot_reader import Layer

_FLAGS_AT = 5  # of the bytes of a value


def check_layer(layer: Layer) -> None:
    """Raise SnapshotError unless all pages are as signed, well-formed, in order, and hold the records announced."""
    count, overflow = _check_overflow_pages(layer)
    count += _check_data_pages(layer, overflow)
    if count != layer.header.record_count:
        raise SnapshotError("page_malformed", f"the pages hold {count} of {layer.header.record_count} records")


def _check_overflow_pages(layer: Layer) -> tuple[int, dict[int, tuple[int, bytes]]]:
    """Check that the overflow is one sequence in key order, each page leading to the next where a data page spans both.

    Returns its record count, and for each data page that overflows the page and the key where its overflow begins.
    """
    begins: dict[int, tuple[int, bytes]] = {}
    count, last, leads_to = 0, b"", 0
    for index in range(1 + layer.header.page_count, layer.header.pages_end):
        keys, following = _page(layer, index)
        _demand(bool(keys) and last < keys[0], index, "is empty or begins before the page before it ends")
        data_pages = [page_of(key, layer.header.page_count) for key in keys]
        is_continued = data_pages[0] in begins
        _demand(leads_to == (index if is_continued else 0), index, "is not led to as its keys demand")
        for data_page, key in zip(data_pages, keys, strict=True):
            begins.setdefault(data_page, (index, key))
        count, last, leads_to = count + len(keys), keys[-1], following
    _demand(not leads_to, layer.header.pages_end - 1, "leads to a page after the last")
    return count, begins


def _check_data_pages(layer: Layer, overflow: dict[int, tuple[int, bytes]]) -> int:
    """Check that each data page holds its own keys, the lowest first; returns the record count."""
    count = 0
    for index in range(1, 1 + layer.header.page_count):
        keys, leads_to = _page(layer, index)
        count += len(keys)
        for key in (keys[0], keys[-1]) if keys else ():
            _demand(page_of(key, layer.header.page_count) == index, index, "holds a key of another page")
        overflow_index, first_key = overflow.get(index, (0, b""))
        _demand(leads_to == overflow_index, index, "does not lead to its overflow")
        if overflow_index:
            _demand(len(keys) == RECORDS_MAX and keys[-1] < first_key, index, "overflows out of turn")
    return count


def _page(layer: Layer, index: int) -> tuple[list[bytes], int]:
    """The keys of a page, in order, and the overflow page that it leads to."""
    page = layer.page(index)
    count, leads_to = unpack_page_header(page, index, layer.header.pages_end)
    values_at = KEYS_AT + KEY_BYTES * count
    values_end = values_at + VALUE_BYTES * count
    keys = [page[at : at + KEY_BYTES] for at in range(KEYS_AT, values_at, KEY_BYTES)]
    _demand(all(map(lt, keys, keys[1:])), index, "holds keys out of order")
    _demand(not any(page[values_end:]), index, "holds bytes after its last record")
    flags = page[values_at + _FLAGS_AT : values_end : VALUE_BYTES]
    _demand(max(flags, default=0) < FLAGS_END, index, "holds flags without a meaning")
    return keys, leads_to


def _demand(condition: bool, index: int, problem: str) -> None:
    if not condition:
        raise SnapshotError("page_malformed", f"page {index} {problem}")
