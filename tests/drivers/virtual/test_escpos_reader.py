"""The reader behind the virtual printer: reads what other programs write, and shows mistakes as a shop sees them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.rendering.rows import CodeRow, Row, Run, TextRow
from drivers.virtual.escpos_reader import Asked, CutOff, PaperReader


def read(data: bytes) -> str:
    reader = PaperReader()
    reader.feed(data)
    return reader.text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\n", "plain\n"),
        (b"\x1c&\xba\xcf\xbc\xc6\x1c. 12", "合计 12"),  # as receiptline, an independent encoder, writes it
        (b"\x1b@\xba\xcf", "合"),  # Chinese models start in Kanji mode
        (b"\x1c.\xba\xcf", "║╧"),  # hanzi outside it come out as garbage
        (b"\x1c&" + "𠮷ñ".encode("gb18030") + b"\x1c.", "𠮷ñ"),
        (b"\x1b!\x30big\x1b!\x00", "big"),
        (b"a\x1bd\x02b", "a\n\nb"),
        (b"\x1d(k\x04\x001A2\x00\x1d(k\x07\x001P0CF:1\x1d(k\x03\x001Q0", "[QR: CF:1]"),
        (b"\x1bp\x00\x19\xfa", ""),
        (b"\x1d\x99x", "[?1d 99]x"),
        (b"\x1d(Zx\x00", ""),
    ],
)
def test_what_is_on_the_paper(data: bytes, text: str) -> None:
    assert read(data) == text


@given(st.binary(max_size=200), st.integers(0, 200))
def test_paper_does_not_depend_on_how_the_bytes_arrive(data: bytes, at: int) -> None:
    whole, pieces = PaperReader(), PaperReader()
    events = whole.feed(data)
    assert pieces.feed(data[:at]) + pieces.feed(data[at:]) == events
    assert (pieces.text, pieces.raw) == (whole.text, whole.raw)


def test_questions_come_out_in_their_place_behind_the_cut() -> None:
    events = PaperReader().feed(b"slip\x1dV\x42\x00\x1d(H\x06\x0000ABCD\x1dr\x01\x1da\xff")
    assert events == [
        CutOff("slip", b"slip\x1dV\x42\x00", (TextRow((Run("slip"),)),)),
        Asked("process_id", b"ABCD"),
        Asked("paper"),
        Asked("automatic", b"\xff"),
    ]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"a\n\nb", [TextRow((Run("a"),)), TextRow(), TextRow((Run("b"),))]),
        (b"\x1bE\x01a\x1bE\x00b", [TextRow((Run("a", bold=True), Run("b")))]),
        (b"a\x1d!\x11b\x1d!\x00", [TextRow((Run("a"), Run("b", double=True)))]),
        (b"\x1b!\x38a\x1b@b", [TextRow((Run("a", bold=True, double=True), Run("b")))]),
        (b"\x1d!\x10wide only", [TextRow((Run("wide only"),))]),
        (b"\x1d(k\x04\x001P0x\x1d(k\x03\x001Q0\nbelow", [CodeRow("x"), TextRow((Run("below"),))]),
        (b"\x1d(k\x04\x001P0x\x1d(k\x03\x001Q0below", [CodeRow("x"), TextRow((Run("below"),))]),
    ],
)
def test_how_it_looks_on_the_paper(data: bytes, rows: list[Row]) -> None:
    reader = PaperReader()
    reader.feed(data)
    assert reader.tear_off().rows == tuple(rows)


def test_the_next_slip_begins_empty_and_in_the_same_style() -> None:
    first, second = PaperReader().feed(b"\x1bE\x01a\n\x1dV\x00b\n\x1dV\x00")
    assert isinstance(first, CutOff)
    assert isinstance(second, CutOff)
    assert (first.rows, second.rows) == ((TextRow((Run("a", bold=True),)),), (TextRow((Run("b", bold=True),)),))
