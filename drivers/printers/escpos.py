"""A document as ESC/POS bytes. Rule: a pure function, and no character ever becomes a question mark.

python-escpos builds the commands (its Dummy printer); the text is ours, because it sends ideographs without entering
Kanji mode. Every printer starts here in code-page mode (FS .); what it cannot print itself, it is sent as dots.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from typing import Any

from drivers.document import Document, Line, Text, layout
from drivers.printers.characters import encode, started
from drivers.printers.needles import struck
from drivers.printers.profiles import Profile
from drivers.printers.raster import drawn

PAPER_STATUS = b"\x1dr\x01"
"""GS r 1: answered only when everything before it has been processed, never while off line."""
DOUBLE_ON, DOUBLE_OFF = b"\x1d!\x11", b"\x1d!\x00"
"""GS ! n: sizes ideographs too, which ESC ! does not."""
CHARSET_USA = b"\x1bR\x00"
"""ESC R 0: others, China's among them, replace $ and a few more ASCII signs."""

_QR_MODULE_DOTS_MAX = 6
_QR_QUIET_MODULES = 8
_BAR_DOTS, _BAR_HEIGHT_DOTS = 2, 80
_BAR_MODULES_BESIDE = 11 + 11 + 13 + 20
"""Code 128: start, check, stop and quiet zones, beside 11 modules a character (ISO/IEC 15417)."""
# Bytes that versions 1 to 40 hold at level M (ISO/IEC 18004, table 7).
_QR_CAPACITY = (
    14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331, 362, 412, 450, 504, 560, 624, 666, 711, 779, 857, 911,
    997, 1059, 1125, 1190, 1264, 1370, 1452, 1538, 1628, 1722, 1809, 1911, 1989, 2099, 2213, 2331,
)  # fmt: skip


def render(document: Document, profile: Profile, job_id: str, letterhead: bytes = b"") -> bytes:
    """The job: reset, the shop's logo (`letterhead`, commands), lines, cut, and the questions that prove printing.

    A line whose characters the printer lacks is drawn. Raises UnprintableError where no font has them.
    """
    dummy = _printer(profile)
    raw = dummy._raw
    dummy.hw("INIT")
    raw(started(profile) + CHARSET_USA + letterhead)
    lines = layout(document, profile.columns)
    for before, line in zip((None, *lines), lines, strict=False):
        _put(dummy, profile, before, line)
    if not lines or lines[-1].kind != "cut":
        dummy.cut()
    if profile.confirmation == "process_id":
        raw(b"\x1d(H\x06\x0000" + process_id(job_id))
    if profile.confirmation != "none":
        raw(PAPER_STATUS)
    output: bytes = dummy.output
    return output


def process_id(job_id: str) -> bytes:
    """Four printable characters for GS ( H fn 48, which allows bytes 32 to 126: enough to tell a job from the last."""
    rest, digits = zlib.crc32(job_id.encode()), bytearray()
    for _ in range(4):
        rest, digit = divmod(rest, 94)
        digits.append(33 + digit)
    return bytes(digits)


def _put(dummy: Any, profile: Profile, before: Line | None, line: Line) -> None:
    if line.bold != (before is not None and before.bold):
        dummy.set(bold=line.bold)
    match line.kind:
        case "cut":
            dummy.cut()
        case "qr":
            _put_qr(dummy, profile, line)
        case "barcode":
            _put_barcode(dummy, profile, line)
        case "text":
            dummy._raw(_text(line, profile))


def _text(line: Line, profile: Profile) -> bytes:
    text = encode(line.text, profile)
    if text is None:
        return _drawn(line, profile)
    sized = DOUBLE_ON + text + DOUBLE_OFF if line.double else text
    return b" " * line.indent + sized + b"\n"


def _drawn(line: Line, profile: Profile) -> bytes:
    if profile.pictures == "needles":
        return struck(line, profile.columns, profile.needle_dots)
    return drawn(line, profile.columns)


def _put_qr(dummy: Any, profile: Profile, line: Line) -> None:
    if profile.draws_qr:
        _centred(dummy, lambda: dummy.qr(line.text, ec=1, size=_qr_dots(line, profile), native=True))
    elif profile.pictures == "raster":
        dummy._raw(drawn(line, profile.columns))
    else:  # whoever needs it can type it in
        _put_all(dummy, profile, Document((Text(line.text),)))


def _put_barcode(dummy: Any, profile: Profile, line: Line) -> None:
    fits = (11 * len(line.text) + _BAR_MODULES_BESIDE) * _BAR_DOTS <= profile.dots
    if profile.draws_barcodes and fits:
        _centred(dummy, lambda: dummy._raw(_code_128(line.text)))
    elif profile.pictures == "raster":
        dummy._raw(drawn(line, profile.columns))
    else:
        _put_all(dummy, profile, Document((Text(line.text, "center"),)))


def _put_all(dummy: Any, profile: Profile, document: Document) -> None:
    for line in layout(document, profile.columns):
        _put(dummy, profile, None, line)


def _centred(dummy: Any, put: Callable[[], object]) -> None:
    dummy.set(align="center")
    put()
    dummy._raw(b"\n")
    dummy.set(align="left")


def _code_128(text: str) -> bytes:
    """GS h, GS w, GS H 2 (text below), GS k 73 in code set B, in which a brace is doubled."""
    data = b"{B" + text.replace("{", "{{").encode("ascii")
    height, bar = bytes([_BAR_HEIGHT_DOTS]), bytes([_BAR_DOTS])
    return b"\x1dh" + height + b"\x1dw" + bar + b"\x1dH\x02" + b"\x1dkI" + bytes([len(data)]) + data


def _qr_dots(line: Line, profile: Profile) -> int:
    return qr_module_dots(len(line.text.encode()), profile.dots)


def qr_module_dots(data_bytes: int, paper_dots: int) -> int:
    """The greatest module size, at most 6 dots, with which a code of that many bytes and its margin fits the paper."""
    modules = 17 + 4 * (bisect_left(_QR_CAPACITY, data_bytes) + 1) + _QR_QUIET_MODULES
    return max(1, min(_QR_MODULE_DOTS_MAX, paper_dots // modules))


@cache
def _dummy_class() -> Any:
    from escpos.printer import Dummy  # costs 0.2 s and 17 MB: only for who prints

    return Dummy


def _printer(profile: Profile) -> Any:
    return _dummy_class()(profile=profile.escpos)
