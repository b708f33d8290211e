"""What a printer of needles has no characters for, as dots. Rule: it looks as the picture of the slip does.

ESC * 1 strikes 8 needles, 1/72 inch apart, 160 times an inch; ESC J 1 moves the paper by 1/144 inch, so that a second
pass strikes between the rows of the first: an ideograph has 16 rows and is as wide as two letters (Epson TM-U220 and
TM-U230 specifications, ESC * and ESC J).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from drivers.document import Line
from drivers.errors import FontError, UnprintableError
from drivers.printers.raster import harmless

_GLYPH_ROWS: Final = 16
_LINE_FEED: Final = 24
"""A line is 1/6 inch high, as the printer's own are."""
_INK_BELOW: Final = 128


def struck(line: Line, columns: int, dots: int) -> bytes:
    """A line of text on paper of that many columns and dots. Raises UnprintableError without a font."""
    from PIL import Image

    from drivers.rendering.picture import GLYPH_DOTS, grey  # loads Pillow: only for who needs it
    from drivers.rendering.rows import row_of

    try:
        drawn = grey(row_of(line), columns)
    except FontError as error:
        raise UnprintableError(f"no characters for {line.text!r}, and {error}") from error
    bands = 1 + line.double
    glyphs = drawn.crop((0, 0, drawn.width, bands * GLYPH_DOTS))
    small = glyphs.resize((dots, bands * _GLYPH_ROWS), Image.Resampling.LANCZOS)
    rows = [_strikes(small.crop((0, y, dots, y + 1)).tobytes()) for y in range(small.height)]
    return b"".join(
        _band(rows[at : at + _GLYPH_ROWS], at + _GLYPH_ROWS == len(rows)) for at in range(0, len(rows), _GLYPH_ROWS)
    )


def _strikes(greys: bytes) -> list[bool]:
    """A needle strikes every second dot at most; one dot of its ribbon is as wide as two of these."""
    struck = False
    return [struck := grey < _INK_BELOW and not struck for grey in greys]


def _band(rows: list[list[bool]], is_last: bool) -> bytes:
    """Both passes; behind the last band, what is left of the line."""
    rest = _LINE_FEED - 1 if is_last else _GLYPH_ROWS - 1
    return _pass(rows[0::2]) + b"\x1bJ\x01" + _pass(rows[1::2]) + b"\x1bJ" + bytes([rest])


def _pass(rows: list[list[bool]]) -> bytes:
    columns = harmless(bytes(_columns(rows)).rstrip(b"\0"))
    return b"\x1b*\x01" + len(columns).to_bytes(2, "little") + columns if columns else b""


def _columns(rows: list[list[bool]]) -> Iterator[int]:
    """A byte for each place across, the uppermost needle highest."""
    for needles in zip(*rows, strict=True):
        yield sum(struck << (7 - place) for place, struck in enumerate(needles))
