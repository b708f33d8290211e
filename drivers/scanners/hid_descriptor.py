"""Where a HID-POS scanner puts a code in its reports. Rule: the device's own report descriptor decides, no model table.

Makers order and size the fields differently. Sources: Device Class Definition for HID 1.11 section 6.2.2 (items) and
HID Point of Sale Usage Tables 1.02 section 3 (page 8C: 02 scanner, FB to FD symbology identifier, FE decoded data,
FF data continued); the byte count is usage 3B of the Generic Desktop page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_SCANNER: Final = 0x8C0002
_BYTE_COUNT: Final = 0x01003B
_SYMBOLOGY: Final = (0x8C00FB, 0x8C00FC, 0x8C00FD)
_DATA: Final = 0x8C00FE
_CONTINUED: Final = 0x8C00FF
_SIZES: Final = (0, 1, 2, 4)
_LONG_ITEM: Final = 0xFE
_INPUT, _COLLECTION, _NOT_MAIN = 0x80, 0xA0, 0x0C
_USAGE_PAGE, _REPORT_SIZE, _REPORT_ID, _REPORT_COUNT = 0x04, 0x74, 0x84, 0x94
_USAGE, _USAGE_MIN, _USAGE_MAX = 0x08, 0x18, 0x28
_REPORT_BYTES_MAX = 4096
"""A descriptor that claims a larger report is noise."""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """One kind of input report with a code. Offsets in bits from the report's first byte, its id included."""

    report_id: int
    size_bytes: int
    data_at: int
    data_bytes: int
    count_at: int | None = None
    symbology_at: tuple[int, ...] = ()
    continued_at: int | None = None


def is_scanner(descriptor: bytes) -> bool:
    """Whether the device says that it is a bar code scanner and in which report its codes come."""
    return bool(scan_reports(descriptor))


def scan_reports(descriptor: bytes) -> dict[int, ScanReport]:
    """Report id (0 where the device numbers none) → where the code is in it; {} for what is no HID-POS scanner."""
    walk = _Walk()
    for tag, value, length in _items(descriptor):
        walk.item(tag, value, length)
    if not walk.is_scanner:
        return {}
    found = {number: _scan_report(number, report) for number, report in walk.reports.items() if _DATA in report.places}
    return {number: report for number, report in found.items() if report.data_bytes}


@dataclass(slots=True)
class _Report:
    """One input report: its length so far, and the places in bits of each usage."""

    bits: int
    places: dict[int, list[int]] = field(default_factory=dict)
    data_bytes: int = 0


def _scan_report(number: int, report: _Report) -> ScanReport:
    def first(usage: int) -> int | None:
        return next(iter(report.places.get(usage, ())), None)

    symbology = tuple(place for usage in _SYMBOLOGY if (place := first(usage)) is not None)
    return ScanReport(
        number, (report.bits + 7) // 8, report.places[_DATA][0], report.data_bytes,
        first(_BYTE_COUNT), symbology if len(symbology) == len(_SYMBOLOGY) else (), first(_CONTINUED),
    )  # fmt: skip


class _Walk:
    """Items in their order: globals stay until they are set anew, usages until the next main item uses them up."""

    def __init__(self) -> None:
        self.reports: dict[int, _Report] = {}
        self.is_scanner = False
        self._globals = dict.fromkeys((_USAGE_PAGE, _REPORT_SIZE, _REPORT_COUNT, _REPORT_ID), 0)
        self._usages: list[int] = []
        self._usage_min = 0

    def item(self, tag: int, value: int, length: int) -> None:
        if tag in self._globals:
            self._globals[tag] = value
        elif tag in (_USAGE, _USAGE_MIN, _USAGE_MAX):
            self._usage(tag, value if length == 4 else self._globals[_USAGE_PAGE] << 16 | value)
        elif not tag & _NOT_MAIN:
            if tag == _INPUT:
                self._input(self._globals[_REPORT_SIZE], self._globals[_REPORT_COUNT])
            elif tag == _COLLECTION:
                self.is_scanner = self.is_scanner or _SCANNER in self._usages
            self._usages = []

    def _usage(self, tag: int, usage: int) -> None:
        if tag == _USAGE:
            self._usages.append(usage)
        elif tag == _USAGE_MIN:
            self._usage_min = usage
        else:
            self._usages.extend(range(self._usage_min, min(usage, self._usage_min + _REPORT_BYTES_MAX) + 1))

    def _input(self, size: int, count: int) -> None:
        if size * count > _REPORT_BYTES_MAX * 8:
            return
        number = self._globals[_REPORT_ID]
        report = self.reports.setdefault(number, _Report(8 if number else 0))
        for place in range(count if self._usages else 0):
            usage = self._usages[min(place, len(self._usages) - 1)]  # the last usage holds for the rest
            report.places.setdefault(usage, []).append(report.bits + place * size)
            report.data_bytes += usage == _DATA and size == 8
        report.bits += size * count


def _items(descriptor: bytes) -> Iterator[tuple[int, int, int]]:
    """Tag and type, value, length of its data."""
    at = 0
    while at < len(descriptor):
        prefix = descriptor[at]
        if prefix == _LONG_ITEM:
            at += 3 + (descriptor[at + 1] if at + 1 < len(descriptor) else 0)
            continue
        length = _SIZES[prefix & 3]
        yield prefix & 0xFC, int.from_bytes(descriptor[at + 1 : at + 1 + length], "little"), length
        at += 1 + length
