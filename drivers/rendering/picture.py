"""A slip as a picture. Rule: one pixel is one printer dot, 203 to the inch, and every character keeps its column.

Each character is drawn by itself into its own cell, so no font, ligature or direction mark can move an amount.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw

from drivers.document import Document
from drivers.errors import DocumentError
from drivers.rendering.codes import BARCODE_HEIGHT_DOTS, module_dots, modules_of
from drivers.rendering.fonts import font
from drivers.rendering.rows import BitmapRow, CodeRow, CutRow, Row, Run, TextRow, rows_of

COLUMN_DOTS: Final = 12
GLYPH_DOTS: Final = 24
LEADING_DOTS: Final = 8
MARGIN_DOTS: Final = 32
"""Paper beside the printed area: 80 mm paper prints 72 mm."""
HEIGHT_MAX_DOTS: Final = 24_000
"""Three metres of paper."""
_PAPER, _INK, _PERFORATION = 255, 0, 150
_INK_BELOW = 160
"""A grey darker than this is a dot: thin strokes of small characters stay whole."""


def to_png(document: Document, columns: int) -> bytes:
    """The document as it comes out of a printer of that many columns. Raises DocumentError, FontError."""
    return draw(rows_of(document, columns), columns)


def draw(rows: Sequence[Row], columns: int) -> bytes:
    """Rows as a PNG in 256 greys. Raises DocumentError above three metres, FontError when a font is missing."""
    width = columns * COLUMN_DOTS
    heights = [_height(row, width) for row in rows]
    if sum(heights) > HEIGHT_MAX_DOTS:
        raise DocumentError(f"a picture of {sum(heights)} dots is longer than {HEIGHT_MAX_DOTS}")
    picture = Image.new("L", (width + 2 * MARGIN_DOTS, sum(heights) + 2 * MARGIN_DOTS), _PAPER)
    top = MARGIN_DOTS
    for row, height in zip(rows, heights, strict=True):
        _draw_row(picture, row, top, height)
        top += height
    output = io.BytesIO()
    picture.save(output, "PNG", compress_level=6, dpi=(203, 203))
    return output.getvalue()


def bitmap(row: Row, columns: int) -> tuple[int, int, bytes]:
    """A row as dots: bytes a row of dots, rows, and the bits, 1 is ink. Raises FontError when a font is missing."""
    printed = grey(row, columns)
    ink = printed.point(lambda shade: _PAPER if shade < _INK_BELOW else 0).convert("1", dither=Image.Dither.NONE)
    return -(-printed.width // 8), printed.height, ink.tobytes()


def grey(row: Row, columns: int) -> Image.Image:
    """A row in 256 greys, from edge to edge of what is printed. Raises FontError when a font is missing."""
    width = columns * COLUMN_DOTS
    height = _height(row, width)
    picture = Image.new("L", (width + 2 * MARGIN_DOTS, height), _PAPER)
    _draw_row(picture, row, 0, height)
    return picture.crop((MARGIN_DOTS, 0, MARGIN_DOTS + width, height))


def _height(row: Row, width: int) -> int:
    match row:
        case TextRow():
            return GLYPH_DOTS * (1 + any(run.double for run in row.runs)) + LEADING_DOTS
        case CodeRow():
            return _code_height(row, width)
        case BitmapRow():
            return row.height
        case CutRow():
            return GLYPH_DOTS


def _draw_row(picture: Image.Image, row: Row, top: int, height: int) -> None:
    pen = ImageDraw.Draw(picture)
    match row:
        case TextRow():
            _draw_text(pen, row, MARGIN_DOTS, top, height)
        case CodeRow():
            _draw_code(picture, row, top, height)
        case BitmapRow():
            size = (row.width_bytes * 8, row.height)
            picture.paste(_INK, (MARGIN_DOTS, top), Image.frombytes("1", size, row.dots))
        case CutRow():
            _draw_cut(pen, picture.width, top + height // 2)


def _draw_text(pen: ImageDraw.ImageDraw, row: TextRow, left: int, top: int, height: int) -> None:
    for run in row.runs:
        size = GLYPH_DOTS * (1 + run.double)
        base = top + height - LEADING_DOTS - round(size * 0.16)
        for char in run.text:
            wide = char >= "\x80" and not run.narrow
            cell = size if wide else size // 2
            if char != " ":
                face = font(size, wide=wide)
                place = (left + cell // 2, base)
                pen.text(place, char, _INK, face, anchor="ms", stroke_width=0.5 * (1 + run.double) if run.bold else 0)
            left += cell


def _code_height(row: CodeRow, width: int) -> int:
    if row.symbology == "qr":
        return len(modules_of(row)) * max(1, module_dots(row, width))
    return BARCODE_HEIGHT_DOTS * bool(module_dots(row, width)) + GLYPH_DOTS + LEADING_DOTS


def _draw_code(picture: Image.Image, row: CodeRow, top: int, height: int) -> None:
    """In the middle; a line code that does not fit is its text alone."""
    width = picture.width - 2 * MARGIN_DOTS
    dots, modules = module_dots(row, width), modules_of(row)
    if row.symbology == "barcode":
        left = MARGIN_DOTS + (width - len(row.data) * COLUMN_DOTS) // 2
        line = GLYPH_DOTS + LEADING_DOTS
        _draw_text(ImageDraw.Draw(picture), TextRow((Run(row.data),)), left, top + height - line, line)
        height -= line
    if dots:
        shade = bytes(_INK if dark else _PAPER for line in modules for dark in line)
        code = Image.frombytes("L", (len(modules[0]), len(modules)), shade)
        size = (len(modules[0]) * dots, height)
        picture.paste(code.resize(size, Image.Resampling.NEAREST), (MARGIN_DOTS + (width - size[0]) // 2, top))


def _draw_cut(pen: ImageDraw.ImageDraw, width: int, y: int) -> None:
    for x in range(0, width, 16):
        pen.line((x, y, x + 8, y), _PERFORATION, 2)
