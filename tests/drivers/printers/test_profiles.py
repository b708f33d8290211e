"""Every printer that the database knows can be named, and what it does not know comes from the overlay."""

from __future__ import annotations

import pytest
from escpos.capabilities import CAPABILITIES

from drivers.document import Barcode, Cut, Document, Qr, Text
from drivers.errors import OptionError
from drivers.printers.escpos import render
from drivers.printers.profiles import CHARACTERS, COLUMNS, PROFILES, profile_named
from drivers.printers.raster import STRIP_ROWS_MAX
from drivers.rendering.rows import BitmapRow, CodeRow, Row
from tests.drivers.printers.test_characters import slip_of

DISPLAYS = {"AF-240", "OCD-100", "OCD-300"}
CODES = Document((Text("slip"), Qr("CF:0190"), Barcode("LANE-01 {4711}"), Cut()))


def test_every_printer_of_the_database_has_a_profile_under_its_name() -> None:
    assert set(CAPABILITIES["profiles"]) - DISPLAYS - {"default", "simple"} <= set(PROFILES)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_a_profile_is_whole(profile) -> None:
    assert profile.columns in COLUMNS
    assert profile.characters in CHARACTERS
    assert profile.escpos in CAPABILITIES["profiles"]
    assert profile.answers_status or profile.confirmation == "none"
    theirs = CAPABILITIES["profiles"][profile.escpos]
    assert all(theirs["codePages"][str(number)].replace("-", "").lower() == page for page, number in profile.pages)


@pytest.mark.parametrize(
    ("typed", "meant"), [("TMT88V", "TM-T88V"), ("tm-t20ii", "epson-tm-t20ii"), ("generic80", "generic-80")]
)
def test_a_name_that_is_nearly_right_is_told_the_right_one(typed: str, meant: str) -> None:
    with pytest.raises(OptionError, match=f"did you mean {meant}"):
        profile_named(typed)


def rows(name: str) -> tuple[bytes, tuple[Row, ...]]:
    job = render(CODES, PROFILES[name], "j")
    return job, slip_of(job).rows


def test_codes_are_drawn_by_the_printer_where_it_can() -> None:
    job, printed = rows("generic-80")
    assert [row for row in printed if isinstance(row, CodeRow)] == [
        CodeRow("CF:0190"),
        CodeRow("LANE-01 {4711}", "barcode"),
    ]
    assert b"\x1dkI\x11{BLANE-01 {{4711}" in job
    assert b"\x1dv0" not in job


@pytest.mark.parametrize("name", ["POS-5890", "NT-5890K"])
def test_codes_of_a_printer_that_draws_none_go_out_as_dots_and_are_read_from_paper(name: str) -> None:
    import io

    import zxingcpp
    from PIL import Image

    from drivers.rendering.picture import draw

    job, printed = rows(name)
    assert b"\x1d(k" not in job
    assert b"\x1dk" not in job
    paper = Image.open(io.BytesIO(draw(printed, 32)))
    assert sorted(code.text for code in zxingcpp.read_barcodes(paper)) == ["CF:0190", "LANE-01 {4711}"]
    assert all(row.height <= STRIP_ROWS_MAX for row in printed if isinstance(row, BitmapRow))


def test_a_printer_of_needles_prints_the_codes_as_text() -> None:
    _, printed = rows("TM-U220")
    assert not [row for row in printed if isinstance(row, BitmapRow | CodeRow)]
    text = slip_of(render(CODES, PROFILES["TM-U220"], "j")).text
    assert "CF:0190" in text
    assert "LANE-01 {4711}" in text


@pytest.mark.parametrize("name", ["NT-5890K", "ZJ-5870"])
def test_a_printer_without_a_cutter_is_not_told_to_cut(name: str) -> None:
    assert b"\x1dV" not in render(CODES, PROFILES[name], "j")
