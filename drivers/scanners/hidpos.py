"""Codes out of the reports of a HID-POS scanner. Rule: a code ends with the report that says so, never with a pause.

Framed by the device, free of keyboard layouts, with the AIM symbology identifier in a field of its own: the best line
to a scanner that there is. Where the fields are, `hid_descriptor` has read from the device.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from drivers.scanners.framing import CODE_BYTES_MAX, Code, Dropped, Frame
from drivers.scanners.hid_descriptor import ScanReport

_AIM: Final = re.compile(rb"\][A-Za-z][0-9A-Za-z]")
_PAUSE_S: Final = 1.0
"""Reports of one code follow each other within milliseconds; half a code is given up after this."""


class ReportStream:
    """Reports of known sizes, however they are cut up; those that carry no code, such as a status, are skipped."""

    pause_s = _PAUSE_S

    def __init__(self, reports: Mapping[int, ScanReport], code_bytes_max: int = CODE_BYTES_MAX) -> None:
        self._reports = reports
        self._code_bytes_max = code_bytes_max
        self._unread = b""
        self._code = b""
        self._dropping = False

    def feed(self, data: bytes) -> tuple[Frame, ...]:
        """The codes that these bytes complete."""
        self._unread += data
        frames: list[Frame] = []
        while self._unread:
            report = self._reports.get(0) or self._reports.get(self._unread[0])
            if report is None:  # of another kind, and its size is not known: nothing behind it in this piece is
                self._unread = b""
            elif len(self._unread) < report.size_bytes:
                break
            else:
                frames += self._take(report, self._unread[: report.size_bytes])
                self._unread = self._unread[report.size_bytes :]
        return tuple(frames)

    def pause(self) -> tuple[Frame, ...]:
        """Gives up what the device did not finish."""
        was_held = bool(self._code or self._unread) and not self._dropping
        self._unread, self._code, self._dropping = b"", b"", False
        return (Dropped("unterminated"),) if was_held else ()

    def _take(self, report: ScanReport, data: bytes) -> tuple[Frame, ...]:
        self._code += _text(report, data)
        goes_on = report.continued_at is not None and bool(_bit(data, report.continued_at))
        too_long = len(self._code) > self._code_bytes_max
        if goes_on and (too_long or self._dropping):
            told, self._code, self._dropping = self._dropping, b"", True
            return () if told else (Dropped("overlong"),)
        if goes_on:
            return ()
        code, dropped, self._code, self._dropping = self._code, self._dropping, b"", False
        if dropped or not code:
            return ()
        return (Dropped("overlong"),) if too_long else (Code(code, _symbology(report, data)),)


def _text(report: ScanReport, data: bytes) -> bytes:
    start = report.data_at // 8
    field = data[start : start + report.data_bytes]
    if report.count_at is None:
        return field.rstrip(b"\0")
    return field[: data[report.count_at // 8]]


def _symbology(report: ScanReport, data: bytes) -> str | None:
    """The AIM identifier; some devices leave out the bracket or the whole field."""
    told = bytes(data[at // 8] for at in report.symbology_at)
    return told.decode("ascii") if _AIM.fullmatch(told) else None


def _bit(data: bytes, at: int) -> int:
    return data[at // 8] >> at % 8 & 1
