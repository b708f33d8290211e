"""The bytes of a screen: golden where the manuals give them, and read back by a reader that shares no code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.displays.screen import CODE_PAGES, Screen, fitted, render
from drivers.errors import OptionError, UnprintableError
from drivers.virtual.display import Glass

CHINESE = Screen(character_set="gb18030")


def shown(rows: tuple[str, ...], screen: Screen) -> tuple[str, ...]:
    glass = Glass()
    glass.feed(render(rows, screen))
    return glass.rows


def test_a_whole_screen_in_bytes() -> None:
    assert render(("Total", "合计 ¥1"), CHINESE) == (
        b"\x1b@\x1f\x01\x0c"
        b"\x1f$\x01\x01Total"
        b"\x1f$\x01\x02\x1c&\xba\xcf\xbc\xc6\x1c. \x1c&\xa3\xa4\x1c.1"
    )  # fmt: skip
    assert render(("é",), Screen()) == b"\x1b@\x1f\x01\x0c\x1bt\x00\x1f$\x01\x01\x82"


@pytest.mark.parametrize(
    ("rows", "character_set", "on_glass"),
    [
        (("APPROVED", "CNY 1,234.50"), "ascii", ("APPROVED", "CNY 1,234.50")),
        (("已批准", "¥1,234.50"), "gb18030", ("已批准", "￥1,234.50")),
        (("Genehmigt é", "¥12"), "cp437", ("Genehmigt é", "¥12")),
        (("é ¥12",), "cp850", ("é ¥12", "")),
        (("é ¥12 €",), "cp1252", ("é ¥12 €", "")),
        (("x" * 30, "y"), "ascii", ("x" * 20, "y")),
        (("一" * 12, "二"), "gb18030", ("一" * 10, "二")),
        (("x" * 19 + "¥", "二"), "gb18030", ("x" * 19, "二")),
        (("a" + "一" * 12,), "gb18030", ("a" + "一" * 9, "")),
        ((), "cp437", ("", "")),
        (("1", "2", "3"), "cp437", ("1", "2")),
        (("\x1b@\x0cA\n\u202eB",), "ascii", ("@AB", "")),
    ],
)
def test_what_is_on_the_glass(rows: tuple[str, ...], character_set: str, on_glass: tuple[str, ...]) -> None:
    assert shown(rows, Screen(character_set=character_set)) == on_glass


@pytest.mark.parametrize(
    ("text", "character_set"),
    [("¥", "ascii"), ("合计", "cp437"), ("€", "cp437"), ("合计", "cp1252"), ("𠮷", "gb18030")],
)
def test_what_a_display_has_no_characters_for_is_refused_and_never_a_question_mark(
    text: str, character_set: str
) -> None:
    with pytest.raises(UnprintableError):
        render((text,), Screen(character_set=character_set))


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(list(CODE_PAGES)))
def test_any_text_reads_back_as_its_beginning_or_is_refused(first: str, second: str, character_set: str) -> None:
    try:
        rows = shown((first, second), Screen(character_set=character_set))
    except UnprintableError:
        return
    if character_set == "gb18030":
        first, second = first.replace("¥", "￥"), second.replace("¥", "￥")
    assert rows == tuple(fitted(row, 20).rstrip() for row in (first, second))


@pytest.mark.parametrize("wrong", [{"columns": 4}, {"rows": 9}, {"character_set": "klingon"}])
def test_a_display_that_nobody_makes_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError):
        Screen(**wrong)
