"""Slips for every way of drawing them: a whole one as a customer gets it, and what hostile data could make of one."""

from __future__ import annotations

from dataclasses import replace

from agent.core.journal import Position
from agent.core.money import Money
from agent.core.receipt import Receipt, Seller, slip_code
from agent.core.settlement import NAMES, Total
from agent.services.day_report import Closing, day_report
from agent.services.settlement import BatchReport, Open, OpenItem
from agent.services.slips import sale_slip
from drivers.document import Banner, Document, Pair, Text, as_copy, as_training

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

DECLINED = sale_slip(
    replace(
        receipt("示例超市", "人民路店", "演示信用付"),
        occasion="declined", reason="limit_exceeded", response_code="51", authorization_code="",
    ),
    "zh-CN",
)  # fmt: skip
SIGNED = sale_slip(replace(receipt("Example Market", "People's Road", "Demo Credit"), is_signed=True), "en")


def closing(lender: str, state: str, still: Open) -> Closing:
    """A day of 40 sales."""
    totals = {name: {"count": number, "minor": number * 12_345} for number, name in enumerate(NAMES, 1)}
    totals |= {"captured": {"count": 40, "minor": 512_000}, "plan.3x": {"count": 2, "minor": 60_000}}
    report = BatchReport(
        lender="l", epoch=1, batch=12, first_number=1, last_number=240, chain_head="kJnMoIZgPKaAX8NzkJnMoIZg",
        totals=totals, state=state, differences=(), exceptions=len(still.items), open=still, was_closed=False,
    )  # fmt: skip
    return Closing(report, lender, "CNY", "2026-11-22 22:05:09 +08:00")


CARRIED = Open(
    3,
    Total(1, 2_000),
    (OpenItem(1, 42, "disputed", "lease_excess", "merchant", "authorization", "till-7-000123", 3_000),),
)
DAY_ZH = day_report(closing("演示信用付", "pending", CARRIED), Seller("示例超市", "人民路店", "lane-01"), "zh-CN")
DAY_EN = as_copy(
    day_report(
        closing("Demo Credit", "matched", Open(0, Total(), ())),
        Seller("Example Market", "People's Road", "lane-01"),
        "en",
    )
)

TRAINING_SIGNED = as_training(SIGNED)

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
