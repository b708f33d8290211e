"""The printable document: what is stored comes back, what is laid out fits, nothing is lost."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.document import (
    COPY_BANNER,
    TRAINING_BANNER,
    Banner,
    Block,
    Cut,
    Document,
    Feed,
    Pair,
    Qr,
    Rule,
    Text,
    as_copy,
    as_training,
    columns_of,
    from_json,
    layout,
    to_json,
    to_text,
)
from drivers.errors import DocumentError

words = st.text(st.sampled_from("ab 9.,¥￥元合计，。（）é—\n\t\x1b\x00\u200b\u00a0"), max_size=90) | st.text(
    max_size=60
)
blocks: st.SearchStrategy[Block] = st.one_of(
    st.builds(
        Text, words, st.sampled_from(["left", "center", "right"]), st.booleans(), st.sampled_from(["normal", "double"])
    ),
    st.builds(Pair, words, words, st.booleans()),
    st.just(Rule()),
    st.builds(Qr, st.text("ABC:/09合", min_size=1, max_size=50)),
    st.builds(Feed, st.integers(1, 20)),
    st.builds(Banner, words),
    st.just(Cut()),
)
documents = st.builds(Document, st.lists(blocks, max_size=8).map(tuple), st.sampled_from([None, "zh-CN", "en"]))
papers = st.sampled_from([16, 32, 42, 48])


def visible(text: str) -> str:
    """The characters that ink can show, in the form that paper shows them."""
    composed = unicodedata.normalize("NFC", text).replace("¥", "￥")
    return "".join(
        c for c in composed if unicodedata.category(c) not in ("Cc", "Cf", "Zs", "Zl", "Zp") and c != "\u3000"
    )


@given(documents)
def test_a_stored_document_comes_back_equal(document: Document) -> None:
    assert from_json(to_json(document)) == document
    assert "\n" not in to_json(document)


@given(documents, papers)
def test_no_line_is_wider_than_the_paper(document: Document, columns: int) -> None:
    for line in layout(document, columns):
        if line.kind == "text":
            assert line.indent >= 0
            assert line.indent + columns_of(line.text) * (2 if line.double else 1) <= columns


@given(words, papers, st.sampled_from(["normal", "double"]))
def test_wrapping_loses_no_character(text: str, columns: int, size: str) -> None:
    lines = layout(Document((Text(text, size=size),)), columns)  # type: ignore[arg-type]
    assert visible("".join(line.text for line in lines)) == visible(text)


@given(words, words, papers)
def test_a_pair_loses_no_character_and_ends_at_the_right_edge(left: str, right: str, columns: int) -> None:
    lines = layout(Document((Pair(left, right),)), columns)
    assert visible("".join(line.text for line in lines)) == visible(left + right)
    if visible(right):
        assert lines[-1].indent + columns_of(lines[-1].text) == columns


@given(documents, papers)
def test_no_control_character_reaches_paper(document: Document, columns: int) -> None:
    assert all(
        unicodedata.category(c) not in ("Cc", "Cf", "Cs") for line in layout(document, columns) for c in line.text
    )


@pytest.mark.parametrize(
    ("block", "lines"),
    [
        (Pair("合计 Total", "¥12.00"), ["合计 Total" + " " * 15 + "￥12.00"]),
        (Pair("一二三四五六七八九十一二三四五六", "¥1.00"), ["一二三四五六七八九十一二三四五六", " " * 26 + "￥1.00"]),
        (Text("便利店", "center"), [" " * 13 + "便利店"]),
        (Text("便利店", "center", size="double"), [" " * 10 + "便利店"]),
        (Text("right", "right"), [" " * 27 + "right"]),
        (Text("no long word is broken where a space will do"), ["no long word is broken where a", "space will do"]),
        (Text("x" * 40), ["x" * 32, "x" * 8]),
        (Text("十五个字的一行后面跟着逗号呀啊，好"), ["十五个字的一行后面跟着逗号呀啊，", "好"]),
        (Text("十六个字的一行后面跟着逗号呀啊呀，好"), ["十六个字的一行后面跟着逗号呀啊", "呀，好"]),
        (Text("a\n\nb"), ["a", "", "b"]),
        (Text("tab\tesc\x1b@x"), ["tab esc @x"]),
        (Text("pay \u202e00.1"), ["pay 00.1"]),
        (Rule(), ["-" * 32]),
        (Feed(2), ["", ""]),
        (Qr("CF:1"), ["[QR: CF:1]"]),
        (Banner("培训"), ["*" * 32, " " * 12 + "培训", "*" * 32]),
        (Cut(), []),
    ],
)
def test_each_block_on_58_mm_paper(block: Block, lines: list[str]) -> None:
    assert to_text(Document((block,)), 32).split("\n") == (lines or [""])


def test_a_copy_says_so_at_both_ends_and_once_however_the_original_ended() -> None:
    original = Document((Text("slip"), Cut()), "zh-CN")
    copy = as_copy(original)
    assert copy.blocks[0] == copy.blocks[-2] == Banner(COPY_BANNER)
    assert copy.blocks.count(Cut()) == 1
    assert copy.language == "zh-CN"
    assert COPY_BANNER not in to_text(original, 32)
    assert to_text(copy, 32).count(COPY_BANNER) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"blocks":[{"kind":"drawer"}]}',
        '{"blocks":[{"kind":"text"}]}',
        '{"blocks":[{"kind":"text","text":1}]}',
        '{"blocks":[{"kind":"text","text":"a","colour":"red"}]}',
        '{"blocks":[{"kind":"text","text":"a","align":"middle"}]}',
        '{"blocks":[{"kind":"feed","lines":0}]}',
        '{"blocks":[{"kind":"qr","data":"\\u0010\\u0014"}]}',
        '{"blocks":[]}x',
    ],
)
def test_what_is_not_a_document_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        from_json(text)


@pytest.mark.parametrize("data", ["", "x" * 2332, "kick\x10\x14\x01\x00\x05", "\ud800"])
def test_a_code_that_no_printer_could_print_or_would_obey_is_refused(data: str) -> None:
    with pytest.raises(DocumentError):
        Qr(data)


def test_text_that_cannot_be_stored_is_refused_but_prints_as_a_box() -> None:
    broken = Document((Text("a\ud800b"),))
    with pytest.raises(DocumentError):
        to_json(broken)
    assert to_text(broken, 32) == "a□b"


def test_paper_too_narrow_to_lay_out_is_refused() -> None:
    with pytest.raises(DocumentError):
        layout(Document(()), 8)


def test_each_part_of_a_training_slip_says_so_above_and_below() -> None:
    whole = Document((Text("for the merchant"), Cut(), Text("for the customer"), Feed(1), Cut()), "en")
    mark = Banner(TRAINING_BANNER)
    marked = as_training(whole)
    assert marked.blocks == (
        mark, Text("for the merchant"), mark, Cut(),
        mark, Text("for the customer"), Feed(1), mark, Cut(),
    )  # fmt: skip
    assert as_training(Document(whole.blocks[:-1], "en")) == marked
    copy = as_copy(marked)
    assert [block.text for block in copy.blocks if isinstance(block, Banner)].count(TRAINING_BANNER) == 4
