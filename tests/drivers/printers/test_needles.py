"""Chinese on a printer of needles: what they strike is what the picture of the slip shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers.document import Document, Pair, Text, layout
from drivers.errors import OptionError
from drivers.printers.escpos import render
from drivers.printers.profiles import PROFILES
from drivers.registry import open_printer
from drivers.rendering.picture import bitmap
from drivers.rendering.rows import BitmapRow, row_of
from drivers.virtual.escpos_reader import PaperReader

NEEDLES = PROFILES["TM-U220"]
WORDS = ["演示信用付 谢谢惠顾", "合计 Total ￥1,234.50", "镕喆翀", "é—", "消费者权益保护"]
Dots = set[tuple[int, int]]


def struck(document: Document) -> tuple[BitmapRow, str]:
    reader = PaperReader()
    reader.feed(render(document, NEEDLES, "j"))
    slip = reader.tear_off()
    return next(row for row in slip.rows if isinstance(row, BitmapRow)), slip.text


def inked(width_bytes: int, dots: bytes) -> Iterator[tuple[int, int]]:
    for at, byte in enumerate(dots):
        for place in range(8):
            if byte >> (7 - place) & 1:
                yield at % width_bytes * 8 + place, at // width_bytes


def near(dot: tuple[float, float], dots: Dots) -> bool:
    x, y = round(dot[0]), round(dot[1])
    return any((x + right, y + down) in dots for right in range(-2, 3) for down in range(-2, 3))


@pytest.mark.parametrize("text", WORDS)
@pytest.mark.parametrize("double", [False, True])
def test_the_needles_strike_where_the_picture_has_ink_and_nowhere_else(text: str, double: bool) -> None:
    document = Document((Text(text, "center", size="double" if double else "normal"),))
    picture, _ = struck(document)
    (line,) = layout(document, NEEDLES.columns)
    width_bytes, _, dots = bitmap(row_of(line), NEEDLES.columns)
    shown, strikes = set(inked(width_bytes, dots)), set(inked(picture.width_bytes, picture.dots))
    across, down = NEEDLES.dots / NEEDLES.needle_dots, 24 / 16
    assert all(near((x * across, y * down), shown) for x, y in strikes)
    missed = [dot for dot in shown if not near((dot[0] / across, dot[1] / down), strikes)]
    assert len(missed) < len(shown) / 50


@pytest.mark.parametrize("text", WORDS)
def test_no_needle_strikes_at_two_places_side_by_side_because_none_is_so_quick(text: str) -> None:
    picture, _ = struck(Document((Text(text, bold=True),)))
    strikes = set(inked(picture.width_bytes, picture.dots))
    assert not any((x + 1, y) in strikes for x, y in strikes)
    assert picture.height == 24, "a line of 1/6 inch, as the lines of letters"


def test_only_the_lines_that_need_it_are_struck_and_they_stay_within_the_paper() -> None:
    picture, text = struck(Document((Text("Example"), Pair("合计", "￥1,234.50"), Text("below"))))
    assert text == f"Example\n[PICTURE {picture.width_bytes * 8}x24]\nbelow"
    assert picture.width_bytes * 8 <= NEEDLES.needle_dots


def test_no_byte_of_a_picture_is_a_command_in_real_time() -> None:
    job = render(Document(tuple(Text(chr(code) * 20) for code in range(0x4E00, 0x5200, 3))), NEEDLES, "j")
    assert not any(command in job for command in (b"\x10\x04", b"\x10\x05", b"\x10\x14"))


def test_a_logo_from_a_file_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(OptionError, match="nv:N"):
        open_printer("front", "tcp:127.0.0.1:9", {"profile": "TM-U220", "logo": "/etc/logo.png"})
