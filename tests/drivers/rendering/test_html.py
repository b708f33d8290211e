"""A page says what the paper says, loads nothing, runs nothing, and cannot be talked into either."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from drivers.document import Document, Qr, Text, to_text
from drivers.rendering.html import to_html
from drivers.rendering.rows import rows_of
from tests.drivers.rendering.slips import EN, HOSTILE, TRAINING_SIGNED, ZH, hostile

ELEMENTS = {"html", "head", "meta", "title", "style", "body", "main", "div", "b", "i", "big", "hr", "svg", "path"}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "style", "viewbox", "class", "role", "stroke", "d"}


class Page(HTMLParser):
    """Elements, attributes, and the text of each line."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.attributes: dict[str, str | None] = {}
        self.lines: list[str] = []
        self._in_body = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes.update(attrs)
        self._in_body |= tag == "main"
        if self._in_body and tag in ("div", "svg"):
            self.lines.append("")

    def handle_data(self, data: str) -> None:
        if self.lines and data.strip("\n"):
            self.lines[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "div" and not self.lines:
            raise AssertionError(tag)


def printed(document: Document, columns: int) -> list[str]:
    """The text preview, without the feed at the end that a page does not need."""
    return to_text(document, columns).rstrip("\n").split("\n")


@pytest.mark.parametrize("document", [ZH, EN, TRAINING_SIGNED], ids=["zh", "en", "training"])
@pytest.mark.parametrize("columns", [32, 48])
def test_the_text_of_the_page_is_the_text_of_the_layout(document: Document, columns: int) -> None:
    page = Page(to_html(document, columns))
    assert [line.rstrip(" ") for line in page.lines] == printed(document, columns)
    assert page.attributes["lang"] == document.language


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    document = hostile(text)
    source = to_html(document, 32)
    page = Page(source)
    assert page.elements <= ELEMENTS
    assert set(page.attributes) <= ATTRIBUTES
    assert source.count("<style>") == source.count("</style>") == 1
    assert len(page.lines) == len(rows_of(document, 32))
    source.encode()


def test_hostile_codes_stay_text_too() -> None:
    data = "</title><script>alert(1)</script>&amp;\"'"
    page = Page(to_html(Document((Text("x"), Qr(data))), 32))
    assert "script" not in page.elements
    assert page.lines[-1].rstrip() == f"[QR: {data}]"


def test_the_page_loads_nothing_and_forbids_it() -> None:
    source = to_html(ZH, 48)
    assert Page(source).attributes["content"]
    assert "default-src 'none'" in source
    for loading in ("http:", "https:", "url(", "@import", "src=", "href=", "<script", " on"):
        assert loading not in source.replace('http-equiv="', "").partition("<body>")[2], loading
