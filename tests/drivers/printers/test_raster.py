"""Logos and long pictures: in the middle, in strips, and never what would keep a shop from printing."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from drivers.document import Document, Text
from drivers.errors import OptionError
from drivers.printers.raster import LOGO_ROWS_MAX, STRIP_ROWS_MAX, logo
from drivers.registry import open_printer
from drivers.rendering.rows import BitmapRow
from drivers.virtual.escpos_reader import CutOff, PaperReader


def strips_of(commands: bytes) -> list[BitmapRow]:
    slip = next(e for e in PaperReader().feed(commands + b"\x1dV\x00") if isinstance(e, CutOff))
    return [row for row in slip.rows if isinstance(row, BitmapRow)]


def picture(path: Path, width: int, height: int, mode: str = "RGBA") -> str:
    Image.new(mode, (width, height), "black").save(path)
    return str(path)


def test_a_long_logo_goes_out_in_strips_in_the_middle_of_the_paper(tmp_path: Path) -> None:
    strips = strips_of(logo(picture(tmp_path / "logo.png", 96, 300), 576))
    assert [strip.height for strip in strips] == [STRIP_ROWS_MAX, STRIP_ROWS_MAX, 300 - 2 * STRIP_ROWS_MAX]
    first_row = strips[0].dots[: strips[0].width_bytes]
    assert first_row == bytes(30) + b"\xff" * 12 + bytes(30)


def test_a_logo_wider_than_the_paper_is_made_smaller(tmp_path: Path) -> None:
    (strip,) = strips_of(logo(picture(tmp_path / "logo.png", 1152, 200, "1"), 576))
    assert (strip.width_bytes, strip.height) == (72, 100)


def test_what_is_transparent_stays_paper(tmp_path: Path) -> None:
    Image.new("RGBA", (16, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert not any(strip.dots.strip(b"\0") for strip in strips_of(logo(str(tmp_path / "clear.png"), 384)))


def test_a_logo_that_cannot_be_used_is_refused_before_the_first_slip(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for path in (tmp_path / "none.png", tmp_path / "text.png", tmp_path):
        with pytest.raises(OptionError, match="is no picture"):
            logo(str(path), 576)
    with pytest.raises(OptionError, match="dots high"):
        logo(picture(tmp_path / "tower.png", 10, LOGO_ROWS_MAX + 1), 576)


def test_the_logo_is_on_top_of_every_slip_from_a_file_or_from_the_printers_memory(tmp_path: Path) -> None:
    from_file = picture(tmp_path / "logo.png", 96, 20)
    for value, wanted in ((from_file, b"\x1dv0"), ("nv:7", b"\x1cp\x07\x00")):
        out = tmp_path / value.replace("/", "_")
        printer = open_printer("front", f"file:{out}", {"profile": "generic-58-mute", "logo": value})
        for job in ("1", "2"):
            printer.print_document(job, Document((Text("slip"),)), copy=False)
        printer.close()
        assert out.read_bytes().count(wanted) == 2
