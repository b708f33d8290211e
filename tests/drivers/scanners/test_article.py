"""What article codes say, read as their symbology says they are to be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.device import Article
from drivers.scanners.article import article_in

GS = b"\x1d"
SAYS = [
    # one article, one number, however it was printed
    (b"6901234567892", "]E0", Article("06901234567892")),
    (b"6901234567892", None, Article("06901234567892")),
    (b"012345678905", None, Article("00012345678905")),  # UPC-A
    (b"0012345678905", "]E0", Article("00012345678905")),  # the same as EAN-13
    (b"96385074", "]E4", Article("00000096385074")),
    (b"01234565", None, Article("00012345000065")),  # UPC-E
    (b"690123456789212", "]E3", Article("06901234567892")),  # with an add-on of two digits
    (b"16901234567899", "]I1", Article("16901234567899")),  # ITF-14
    # GS1
    (b"0106901234567892" b"10ABC" + GS + b"17261231", "]C1", Article("06901234567892", "ABC", expires_on="2026-12-31")),
    (b"0195012345678903" b"3103001752" b"392315" b"00" + GS + b"21XYZ", "]e0",
     Article("95012345678903", serial="XYZ", net_weight_g=1752, price="1.500")),
    (b"0106901234567892" b"11260101" b"15260201", "]d2",
     Article("06901234567892", produced_on="2026-01-01", best_before="2026-02-01")),
    (GS + b"0106901234567892" b"3712", None, Article("06901234567892", count=12)),
    (b"https://id.gs1.org/01/09506000134352/10/A1?17=261231", "]Q1",
     Article("09506000134352", "A1", expires_on="2026-12-31")),
    # nothing
    (b"6901234567893", "]E0", None),  # check digit
    (b"0106901234567893", "]C1", None),  # check digit inside a message
    (b"6901234567892", "]Q1", None),  # digits in a QR code are no article
    (b"282345678901234567", None, None),  # a wallet's payment code
    (b"hQVDUFYwMQabc", "]Q1", None),
    (b"https://example.com/a", "]Q1", None),
    ("合计".encode(), None, None),
    (b"", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "symbology", "says"), SAYS)
def test_what_a_code_says(raw: bytes, symbology: str | None, says: Article | None) -> None:
    assert article_in(raw, symbology) == says


@given(st.binary(max_size=600), st.sampled_from([None, "]E0", "]C1", "]Q3", "]d2", "]e0", "]Q1"]))
def test_no_code_however_odd_stops_a_scanner(raw: bytes, symbology: str | None) -> None:
    article_in(raw, symbology)


@given(st.text("0123456789()ABC\x1d", max_size=60))
def test_no_message_however_odd_stops_a_scanner(text: str) -> None:
    article_in(text.encode(), "]C1")


@given(st.text("0123456789:/?=&.abc%", max_size=60))
def test_no_link_however_odd_stops_a_scanner(text: str) -> None:
    article_in(b"https://id.gs1.org/01/" + text.encode(), "]Q1")


def test_only_the_fields_that_there_are_reach_the_pos() -> None:
    assert Article(gtin="06901234567892", count=12).to_dict() == {"gtin": "06901234567892", "count": 12}
