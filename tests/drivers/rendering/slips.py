"""Slips for every way of drawing them: a whole one as a customer gets it, and what hostile data could make of one."""

from __future__ import annotations

from agent.core.journal import Position
from agent.core.money import Money
from agent.core.receipt import Receipt, Seller, slip_code
from agent.services.slips import sale_slip
from drivers.document import Banner, Document, Pair, Text, as_copy

SALE_ID = "0193a7f2-1c44-7e0b-9c1e-3f5a8b2d6c10"


def receipt(merchant: str, store: str, lender: str) -> Receipt:
    """An offline approval of 128.00."""
    return Receipt(
        seller=Seller(merchant, store, "lane-01"),
        lender=lender,
        sale_id=SALE_ID,
        amount=Money(12_800, "CNY"),
        local_time="2026-11-22 18:05:09 +08:00",
        account="****9f3a",
        authorization_code="A7K2Q9",
        response_code="00",
        is_online=False,
        is_guaranteed=True,
        entry=Position(1, 1042),
        code=slip_code("lane-01", SALE_ID),
    )


ZH = sale_slip(receipt("示例超市", "人民路店", "演示信用付"), "zh-CN")
EN = as_copy(sale_slip(receipt("Example Market", "People's Road", "Demo Credit 演示信用付"), "en"))

HOSTILE = (
    "<script>alert(1)</script>",
    "</title></svg><img src=x onerror=alert(1)>",
    "\"'><style>*{display:none}</style>",
    "<!--",
    "]]>",
    "&lt;b&gt; &amp;",
    "abc\u202e00.821\u202c",
    "\x1b@\x1dV\x00\x00\x07",
    "\ud800 lone",
    "😀👩‍👩‍👧 🇨🇳",
    "e\u0301\u0323",
    "\U0010ffff\ufffe",
    "ﷺ عربي",
    "x" * 500,
    "字" * 300,
    "",
    " \n \r\n\t",
)


def hostile(text: str) -> Document:
    """The text wherever text may stand."""
    return Document(
        (Text(text), Pair(text, text), Banner(text), Text(text, size="double", align="center")), text or None
    )
