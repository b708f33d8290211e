"""What a printer prints itself, and what it is sent as dots: read back by a reader that shares no code."""

from __future__ import annotations

import codecs
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.document import Document, Pair, Text, to_text
from drivers.printers.characters import CODECS, encode
from drivers.printers.escpos import render
from drivers.printers.profiles import PROFILES, Profile
from drivers.rendering.rows import TextRow, trimmed, wrapped
from drivers.virtual.escpos_reader import CutOff, PaperReader

LATIN = PROFILES["TM-T88V"]
SETS = {  # profile → text in its characters, and text that it lacks
    "generic-80": ("合计 花呗 €5", "𠮷野家"),
    "generic-80-big5": ("合計 發票 退貨", "合计 发票"),
    "generic-80-shift-jis": ("合計 レシート ありがとう", "合计 发票"),
    "generic-80-korean": ("합계 영수증", "发票"),
}


def on_paper(document: Document, profile: Profile) -> str:
    """What a printer with these characters prints."""
    return slip_of(render(document, profile, "j"), CODECS.get(profile.characters, "gb18030")).text


def slip_of(job: bytes, encoding: str = "gb18030") -> CutOff:
    """The first piece of paper; of a printer without a cutter, what a person tears off."""
    reader = PaperReader(encoding=encoding)
    cuts = [event for event in reader.feed(job) if isinstance(event, CutOff)]
    return (cuts or [reader.tear_off()])[0]


@pytest.mark.parametrize("name", SETS)
def test_ideographs_are_printed_in_the_codes_of_the_model(name: str) -> None:
    has, _ = SETS[name]
    document = Document((Text(has, size="double"), Pair(has, "¥1,234.50")))
    assert on_paper(document, PROFILES[name]) == to_text(document, 48)


@pytest.mark.parametrize("name", SETS)
def test_a_line_with_a_character_that_the_model_lacks_is_drawn_and_those_beside_it_are_not(name: str) -> None:
    has, lacks = SETS[name]
    above, drawn, below = on_paper(Document((Text(has), Text(f"{has} {lacks}"), Text("a"))), PROFILES[name]).split("\n")
    assert (above, drawn, below) == (has, "[PICTURE 576x32]", "a")


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf")), max_size=20), st.sampled_from(sorted(SETS)))
def test_whatever_is_printed_in_a_set_reads_back_in_that_set(text: str, name: str) -> None:
    encoded = encode(text, PROFILES[name])
    if encoded is not None:
        reader = PaperReader(encoding=CODECS[PROFILES[name].characters])
        reader.feed(b"\x1c." + encoded)
        assert reader.text == text


def test_japanese_models_are_told_that_the_codes_are_shift_jis() -> None:
    assert render(Document(()), PROFILES["generic-80-shift-jis"], "j").startswith(b"\x1b@\x1cC\x01\x1c.")


@pytest.mark.parametrize("name", [name for name, profile in PROFILES.items() if not profile.kanji])
@pytest.mark.parametrize("sign", "¥£€")
def test_a_sign_of_currency_is_the_right_one_in_the_code_page_of_every_model_or_is_drawn(name: str, sign: str) -> None:
    """In page 0 a yen sign is 9D, in Windows's A5, in a Japanese one 5C: a wrong page prints another currency."""
    profile = PROFILES[name]
    encoded = encode({"¥": "￥"}.get(sign, sign), profile)
    if encoded is None:
        assert not any(can_encode(sign, page) for page, _ in profile.pages)
        return
    assert encoded[:3] == b" \x1bt"
    page = {number: codec for codec, number in profile.pages}[encoded[3]]
    assert codecs.decode(encoded[4:], page) == sign


def can_encode(char: str, page: str) -> bool:
    try:
        char.encode(page)
    except UnicodeEncodeError:
        return False
    return True


def test_an_amount_of_a_model_without_ideographs_ends_at_the_right_edge_and_costs_no_picture() -> None:
    paper = on_paper(Document((Pair("Total", "¥1,234.50"), Pair("Deposit", "€5.00"))), LATIN).split("\n")
    assert paper == ["Total" + " " * 28 + "¥1,234.50", "Deposit" + " " * 30 + "€5.00"]
    assert {len(row) for row in paper} == {LATIN.columns}


def test_the_settings_may_know_more_of_a_printer_than_its_model() -> None:
    assert encode("合计", LATIN) is None
    assert encode("合计", replace(LATIN, characters="gb18030")) == b"\x1c&\xba\xcf\xbc\xc6\x1c."


def test_a_sign_from_a_code_page_takes_one_column_of_the_paper() -> None:
    paper = slip_of(render(Document((Pair("Deposit", "€5.00"),)), LATIN, "j"))
    (row,) = wrapped(trimmed(paper.rows), LATIN.columns)
    assert isinstance(row, TextRow)
    assert sum(run.columns for run in row.runs) == LATIN.columns
