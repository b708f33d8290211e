"""A picture shows what the paper shows: each character in its column, the code readable, the bytes and nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image, ImageChops

from drivers.document import Document, Feed, Qr, Text
from drivers.errors import DocumentError, FontError
from drivers.printers.escpos import render
from drivers.printers.profiles import profile_named
from drivers.rendering import fonts
from drivers.rendering.fonts import Face, font
from drivers.rendering.picture import COLUMN_DOTS, GLYPH_DOTS, LEADING_DOTS, MARGIN_DOTS, draw, to_png
from drivers.rendering.rows import TextRow, rows_of, trimmed, wrapped
from drivers.virtual.escpos_reader import CutOff, PaperReader
from tests.drivers.rendering.slips import (
    DAY_EN,
    DAY_ZH,
    DECLINED,
    EN,
    HOSTILE,
    SALE_ID,
    SIGNED,
    TRAINING_SIGNED,
    ZH,
    hostile,
)

GOLDEN = Path(__file__).parent / "golden"
has_fonts = pytest.mark.skipif(
    not any((Path("/usr/share/fonts") / face.path).is_file() for face in fonts.WIDE),
    reason="no CJK font is installed (fonts-wqy-microhei)",
)
has_approved_fonts = pytest.mark.skipif(
    not all((Path("/usr/share/fonts") / faces[0].path).is_file() for faces in (fonts.NARROW, fonts.WIDE)),
    reason="drawn in fonts-wqy-microhei and fonts-dejavu-core, which are not installed",
)
SLIPS = {"zh-80": (ZH, 48), "zh-58": (ZH, 32), "en-80": (EN, 48), "en-58": (EN, 32)}


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def ink(picture: Image.Image, left: int, top: int, width: int, height: int) -> bool:
    return picture.crop((left, top, left + width, top + height)).getextrema()[0] < 128  # type: ignore[operator]


OTHERS = {
    "declined-80": (DECLINED, 48),
    "signed-58": (SIGNED, 32),
    "training-58": (TRAINING_SIGNED, 32),
    "day-zh-80": (DAY_ZH, 48),
    "day-zh-58": (DAY_ZH, 32),
    "day-en-80": (DAY_EN, 48),
    "day-en-58": (DAY_EN, 32),
}


@has_approved_fonts
@pytest.mark.parametrize("name", [*SLIPS, *OTHERS])
def test_slips_look_as_the_pictures_that_were_approved(name: str, tmp_path: Path) -> None:
    """To approve a change: look at what was drawn (its path is in the message), then copy it over the golden file."""
    png = to_png(*(SLIPS | OTHERS)[name])
    (tmp_path / f"{name}.png").write_bytes(png)
    golden = opened((GOLDEN / f"{name}.png").read_bytes())
    drawn = opened(png)
    assert drawn.size == golden.size, tmp_path / f"{name}.png"
    changed = ImageChops.difference(drawn, golden).point(lambda level: 255 * (level > 96))
    share = changed.histogram()[255] / (drawn.width * drawn.height)
    assert share < 0.002, f"{share:.2%} of the picture differs: {tmp_path / f'{name}.png'}"


@has_fonts
@pytest.mark.parametrize("name", SLIPS)
def test_the_code_on_the_slip_is_read_back(name: str) -> None:
    (code,) = zxingcpp.read_barcodes(opened(to_png(*SLIPS[name])))
    assert code.bytes == f"CFS1:lane-01:{SALE_ID}".encode()


@has_fonts
@pytest.mark.parametrize("data", ["合计 ¥12", "a" * 900, "0", '~\\"<>&'])
@pytest.mark.parametrize("columns", [32, 48])
def test_any_code_is_drawn_byte_for_byte_and_fits_the_paper(data: str, columns: int) -> None:
    picture = opened(to_png(Document((Qr(data),)), columns))
    assert picture.width == columns * COLUMN_DOTS + 2 * MARGIN_DOTS
    (code,) = zxingcpp.read_barcodes(picture)
    assert code.bytes == data.encode()


@has_fonts
@pytest.mark.parametrize("document", [ZH, EN], ids=["zh", "en"])
@pytest.mark.parametrize("columns", [32, 48])
def test_every_visible_character_has_ink_in_its_own_cell_and_no_other_cell_has(
    document: Document, columns: int
) -> None:
    rows = [row for row in rows_of(document, columns) if isinstance(row, TextRow)]
    picture, top = opened(draw(rows, columns)), MARGIN_DOTS
    for row in rows:
        scale = 1 + any(run.double for run in row.runs)
        height, left = GLYPH_DOTS * scale + LEADING_DOTS, MARGIN_DOTS
        for run in row.runs:
            for char in run.text:
                cell = COLUMN_DOTS * (1 + (char > "\x7f")) * (1 + run.double)
                inside = (left + 2, top, cell - 4, height) if char == " " else (left, top, cell, height)
                assert ink(picture, *inside) == (char != " "), f"{char!r} in {row}"
                left += cell
        assert not ink(picture, left + 2, top, picture.width - left - 2, height)
        top += height
    assert picture.height == top + MARGIN_DOTS


@has_fonts
@pytest.mark.parametrize("name", SLIPS)
def test_the_bytes_sent_to_a_printer_show_the_same_picture_as_the_document(name: str) -> None:
    document, columns = SLIPS[name]
    profile = profile_named("generic-80" if columns == 48 else "generic-58")
    (slip, *_) = PaperReader().feed(render(document, profile, "job"))
    assert isinstance(slip, CutOff)
    from_bytes = opened(draw(wrapped(trimmed(slip.rows), columns), columns))
    assert ImageChops.difference(from_bytes, opened(to_png(document, columns))).getbbox() is None


@has_fonts
@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_breaks_a_picture_or_leaves_its_line(text: str) -> None:
    picture = opened(to_png(hostile(text), 32))
    right = MARGIN_DOTS + 32 * COLUMN_DOTS
    assert not ink(picture, right + 4, 0, picture.width - right - 4, picture.height)
    assert not ink(picture, 0, 0, MARGIN_DOTS - 4, picture.height)


@has_fonts
@pytest.mark.parametrize("char", "😀𠮷€é—“①")
def test_a_character_that_the_font_lacks_shows_a_mark_and_not_a_blank(char: str) -> None:
    (row,) = rows_of(Document((Text(char),)), 32)
    assert ink(opened(draw([row], 32)), MARGIN_DOTS, MARGIN_DOTS, 24, 32)


def test_a_picture_longer_than_three_metres_is_refused() -> None:
    with pytest.raises(DocumentError, match="longer"):
        to_png(Document((Feed(20),) * 50 + (Text("end"),)), 32)


def test_without_a_font_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "WIDE", (Face("truetype/none.ttf"),))
    font.cache_clear()
    with pytest.raises(FontError, match="fonts-wqy-microhei"):
        to_png(Document((Text("合计"),)), 32)
    font.cache_clear()
