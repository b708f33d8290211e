"""A document as ESC/POS bytes. Rule: a pure function, and no character ever becomes a question mark.

python-escpos builds the commands (its Dummy printer); the text is ours, because it sends ideographs without entering
Kanji mode. Every printer starts here in code-page mode (FS .); runs outside ASCII go out as FS & … FS . in GB18030.
"""

from __future__ import annotations

import re
import zlib
from bisect import bisect_left
from functools import cache
from typing import Any

from drivers.document import Document, Line, layout
from drivers.printers.profiles import Profile
from drivers.printers.raster import strip

KANJI_ON = b"\x1c&"
KANJI_OFF = b"\x1c."
PAPER_STATUS = b"\x1dr\x01"
"""GS r 1: answered only when everything before it has been processed, never while off line."""
DOUBLE_ON, DOUBLE_OFF = b"\x1d!\x11", b"\x1d!\x00"
"""GS ! n: sizes ideographs too, which ESC ! does not."""
CHARSET_USA = b"\x1bR\x00"
"""ESC R 0: others, China's among them, replace $ and a few more ASCII signs."""

_RUNS = re.compile(r"[\x00-\x7f]+|[^\x00-\x7f]+")
_QR_MODULE_DOTS_MAX = 6
_QR_QUIET_MODULES = 8
# Bytes that versions 1 to 40 hold at level M (ISO/IEC 18004, table 7).
_QR_CAPACITY = (
    14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331, 362, 412, 450, 504, 560, 624, 666, 711, 779, 857, 911,
    997, 1059, 1125, 1190, 1264, 1370, 1452, 1538, 1628, 1722, 1809, 1911, 1989, 2099, 2213, 2331,
)  # fmt: skip


def render(document: Document, profile: Profile, job_id: str) -> bytes:
    """The job: reset, lines, cut, and the questions whose answers prove that it was printed.

    Lines outside ASCII are drawn where the profile has no ideographs. Raises UnprintableError where no font is for it.
    """
    dummy = _printer(profile)
    raw = dummy._raw
    dummy.hw("INIT")
    raw(KANJI_OFF + CHARSET_USA)
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


def encode(text: str) -> bytes:
    """Text in code-page mode with its Kanji runs."""
    if text.isascii():
        return text.encode("ascii")
    runs = _RUNS.findall(text)
    return b"".join(run.encode() if run.isascii() else KANJI_ON + run.encode("gb18030") + KANJI_OFF for run in runs)


def _put(dummy: Any, profile: Profile, before: Line | None, line: Line) -> None:
    if line.bold != (before is not None and before.bold):
        dummy.set(bold=line.bold)
    if line.kind == "cut":
        dummy.cut()
        return
    if line.kind == "qr":
        dummy.set(align="center")
        dummy.qr(line.text, ec=1, size=qr_module_dots(len(line.text.encode()), profile.dots), native=True)
        dummy._raw(b"\n")
        dummy.set(align="left")
        return
    if not (profile.kanji or line.text.isascii()):
        dummy._raw(strip(line, profile.columns))
        return
    text = encode(line.text)
    sized = DOUBLE_ON + text + DOUBLE_OFF if line.double else text
    dummy._raw(b" " * line.indent + sized + b"\n")


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
