"""Slips for every way of drawing them: a whole one as a customer gets it, and what hostile data could make of one."""

from __future__ import annotations

from drivers.document import Banner, Cut, Document, Feed, Pair, Qr, Rule, Text

SALE_ID = "0193a7f2-1c44-7e0b-9c1e-3f5a8b2d6c10"

ZH = Document(
    (
        Text("示例超市", align="center", bold=True),
        Text("人民路店", align="center"),
        Rule(),
        Text("已批准", align="center", bold=True, size="double"),
        Text("¥128.00", align="center", bold=True, size="double"),
        Text("离线批准（有保障，稍后入账）", align="center"),
        Rule(),
        Pair("授信机构", "花呗"),
        Pair("账户", "****9f3a"),
        Pair("授权码", "A7K2Q9"),
        Pair("时间", "2026-11-22 18:05:09 +08:00"),
        Pair("合计", "¥128.00", bold=True),
        Text(f"单号: {SALE_ID}"),
        Rule(),
        Qr(f"CFS1.lane-01.{SALE_ID}"),
        Text("扫码可查询、撤销或退款", align="center"),
        Text("谢谢惠顾", align="center"),
        Feed(1),
        Cut(),
    ),
    "zh-CN",
)
EN = Document(
    (
        Banner("COPY / 重印"),
        Text("Example Market", align="center", bold=True),
        Text("People's Road", align="center"),
        Rule(),
        Text("APPROVED", align="center", bold=True, size="double"),
        Text("¥128.00", align="center", bold=True, size="double"),
        Text("OFFLINE (guaranteed, posts later)", align="center"),
        Rule(),
        Pair("Lender", "Huabei 花呗"),
        Pair("Account", "****9f3a"),
        Pair("Authorization code", "A7K2Q9"),
        Pair("Time", "2026-11-22 18:05:09 +08:00"),
        Text(f"Sale id: {SALE_ID}"),
        Rule(),
        Qr(f"CFS1.lane-01.{SALE_ID}"),
        Text("Scan to look up, void or refund", align="center"),
        Banner("COPY / 重印"),
        Cut(),
    ),
    "en",
)

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
