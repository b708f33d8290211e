"""The bytes of a slip: golden where the standard gives them, and read back by a reader that shares no code."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drivers.document import Banner, Cut, Document, Feed, Pair, Qr, Rule, Text, layout, to_text
from drivers.errors import UnprintableError
from drivers.printers.characters import encode
from drivers.printers.escpos import process_id, qr_module_dots, render
from drivers.printers.profiles import PROFILES
from drivers.printers.raster import drawn
from drivers.rendering.fonts import font
from drivers.rendering.picture import draw, to_png
from drivers.rendering.rows import BitmapRow, trimmed
from drivers.virtual.escpos_reader import Asked, CutOff, PaperReader

SLIP = Document(
    (
        Text("便利店 Lane 1", "center", bold=True, size="double"),
        Text("收银员 café"),
        Rule(),
        Pair("合计 Total", "¥1,234.50", bold=True),
        Qr("CF:0190-7f3e"),
        Feed(2),
        Banner("OFFLINE / 离线"),
        Text("投诉电话 12378", "right"),
    ),
    "zh-CN",
)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("Total $5 #1", b"Total $5 #1"),
        ("合计", b"\x1c&\xba\xcf\xbc\xc6\x1c."),
        ("合计 12", b"\x1c&\xba\xcf\xbc\xc6\x1c. 12"),
        ("￥1.00", b"\x1c&\xa3\xa4\x1c.1.00"),
        ("é", b"\x1c&\xa8\xa6\x1c."),
        ("—", b"\x1c&\xa1\xaa\x1c."),
        ("€", b"\x1c&\xa2\xe3\x1c."),
    ],
)
def test_text_outside_ascii_is_a_kanji_run_in_gb18030(text: str, encoded: bytes) -> None:
    assert encode(text, PROFILES["generic-80"]) == encoded


def test_the_yen_sign_of_a_keyboard_prints_as_the_full_width_sign() -> None:
    job = render(Document((Text("¥12.00"),)), PROFILES["generic-58"], "j")
    assert b"\x1c&\xa3\xa4\x1c.12.00\n" in job
    assert "¥".encode("gb18030") not in job  # the four bytes that printers show as "06"


def test_a_whole_slip_in_bytes() -> None:
    job = render(
        Document((Text("合计", bold=True), Pair("a", "¥1"), Qr("CF:1"))), PROFILES["epson-tm-t88v-zh"], "job-1"
    )
    assert job == (
        b"\x1b@\x1c.\x1bR\x00"
        b"\x1bE\x01\x1c&\xba\xcf\xbc\xc6\x1c.\n\x1bE\x00"
        b"a" + b" " * 44 + b"\x1c&\xa3\xa4\x1c.1\n"
        b"\x1ba\x01\x1d(k\x04\x001A2\x00\x1d(k\x03\x001C\x06\x1d(k\x03\x001E1\x1d(k\x07\x001P0CF:1\x1d(k\x03\x001Q0\n\x1ba\x00"
        b"\x1bd\x06\x1dV\x00"
        b"\x1d(H\x06\x0000" + process_id("job-1") + b"\x1dr\x01"
    )


CUTTING = [p for p in PROFILES.values() if p.characters == "gb18030" and p.draws_qr and p.name != "Sunmi-V2"]


@pytest.mark.parametrize("profile", CUTTING, ids=lambda p: p.name)
def test_an_independent_reader_reads_the_same_text_back(profile) -> None:
    events = PaperReader().feed(render(SLIP, profile, "j"))
    slips = [event.text for event in events if isinstance(event, CutOff)]
    assert slips == [to_text(SLIP, profile.columns).strip("\n")]


@settings(max_examples=60)
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=80), st.sampled_from([32, 48]))
def test_any_text_reads_back_and_never_as_a_question_mark(text: str, columns: int) -> None:
    document = Document((Rule(), Text(text.replace("?", "!")), Rule()))
    profile = replace(PROFILES["generic-80"], columns=columns)
    job = render(document, profile, "j")
    (slip, _) = PaperReader().feed(job)
    assert isinstance(slip, CutOff)
    shown = [row.rstrip(" ") for row in slip.text.split("\n")]
    for row, wanted in zip(shown, to_text(document, columns).split("\n"), strict=True):
        assert row == wanted or (row == f"[PICTURE {12 * columns}x32]" and encode(wanted, profile) is None)


def test_the_question_whose_answer_proves_printing_comes_last_and_only_where_the_model_answers_it() -> None:
    asked = {
        name: [e.kind for e in PaperReader().feed(render(SLIP, PROFILES[name], "j")) if isinstance(e, Asked)]
        for name in ("epson-tm-t88v-zh", "generic-80", "clone-80", "generic-80-mute")
    }
    assert asked == {
        "epson-tm-t88v-zh": ["process_id", "paper"],
        "generic-80": ["paper"],
        "clone-80": [],
        "generic-80-mute": [],
    }


def test_two_slips_in_one_document_are_two_pieces_of_paper_and_an_end_is_cut_once() -> None:
    two = Document((Text("shop"), Cut(), Text("customer"), Cut()))
    slips = [e.text for e in PaperReader().feed(render(two, PROFILES["generic-58"], "j")) if isinstance(e, CutOff)]
    assert slips == ["shop", "customer"]


def test_bold_ends_where_it_should_even_across_a_code() -> None:
    job = render(Document((Text("b", bold=True), Qr("x"), Text("n"))), PROFILES["generic-58"], "j")
    assert job.index(b"b\n") < job.index(b"\x1bE\x00") < job.index(b"n\n")
    assert job.count(b"\x1bE\x01") == job.count(b"\x1bE\x00") == 1


def test_a_printer_without_ideographs_prints_the_picture_that_the_page_shows() -> None:
    profile = PROFILES["epson-tm-t20ii"]
    (slip, *_) = PaperReader().feed(render(SLIP, profile, "j"))
    assert isinstance(slip, CutOff)
    assert "?" not in slip.text
    assert {row.width_bytes for row in slip.rows if isinstance(row, BitmapRow)} == {72}
    printed, shown = black_and_white(draw(trimmed(slip.rows), 48)), black_and_white(to_png(SLIP, 48))
    assert len(printed) == len(shown)
    # A stroke of a bold character reaches into the row above; a strip ends at its row.
    assert sum(dot != other for dot, other in zip(printed, shown, strict=True)) < 20


def black_and_white(png: bytes) -> bytes:
    grey = Image.open(io.BytesIO(png)).convert("L")
    return grey.point(lambda level: 255 * (level >= 160)).tobytes()


@settings(max_examples=20, deadline=None)
@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=1, max_size=24))
def test_no_picture_holds_what_a_printer_would_obey_at_once(text: str) -> None:
    (line,) = layout(Document((Text(text),)), 48)
    assert not re.search(rb"\x10[\x04\x05\x14]", drawn(line, 48))


def test_what_is_ascii_stays_text_and_without_a_font_the_rest_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.rendering.fonts.WIDE", ())
    font.cache_clear()
    with pytest.raises(UnprintableError):
        render(Document((Text("龘"),)), PROFILES["epson-tm-t20ii"], "j")
    assert b"plain" in render(Document((Text("plain"),)), PROFILES["epson-tm-t20ii"], "j")
    font.cache_clear()


@pytest.mark.parametrize("data_bytes", [1, 14, 15, 60, 300, 1000, 2331])
@pytest.mark.parametrize("dots", [384, 576])
def test_a_code_with_its_margin_fits_the_paper(data_bytes: int, dots: int) -> None:
    code = segno.make("\u00e9" + "a" * (data_bytes - 2) if data_bytes > 1 else "a", error="m", mode="byte",
                      encoding="utf-8", boost_error=False, micro=False)  # fmt: skip
    modules = code.symbol_size(border=4)[0]
    assert qr_module_dots(data_bytes, dots) * modules <= dots
    assert qr_module_dots(data_bytes, dots) == min(6, dots // modules)


def test_process_ids_are_printable_and_differ_between_jobs() -> None:
    ids = {process_id(f"job-{n}") for n in range(1000)}
    assert len(ids) == 1000
    assert all(len(i) == 4 and all(32 <= byte <= 126 for byte in i) for i in ids)
