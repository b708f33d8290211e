"""receiptline, which others made, beside our renderer: the same Chinese, Japanese or Korean text, the same bytes."""

from __future__ import annotations

import re

import pytest

from drivers.document import Document, Text
from drivers.printers.characters import KANJI_OFF, KANJI_ON
from drivers.printers.escpos import render
from drivers.printers.profiles import PROFILES
from tests.drivers.peers import node

pytestmark = [pytest.mark.proof, node.needed]

CHINESE = ["合计", "演示信用付", "人民路店,二楼", "￥128.00", "重印 COPY", "A合B计C", "，。；：“”", "镕喆翀", "№①㈠ⅠΩ"]
CASES = {  # encoding of receiptline → our profile, Python's codec, texts
    "gb18030": ("generic-80", "gb18030", CHINESE),
    "big5": ("generic-80-big5", "cp950", ["合計", "人民路店,二樓", "退貨 COPY", "A合B計C", "，。；：", "發票號碼"]),
    "shiftjis": (
        "generic-80-shift-jis",
        "cp932",
        ["合計", "レシート", "ありがとう COPY", "A合B計C", "、。「」", "表示能力"],
    ),
    "ksc5601": ("generic-80-korean", "cp949", ["합계", "영수증", "감사합니다 COPY", "A합B계C", "，。", "合計"]),
}
TEXTS = [(encoding, text) for encoding, (_, _, texts) in CASES.items() for text in texts]
_BEGINS = rb"(?:\x1c&(?:\x1bR\r)?|\x1bR\x08)"
"""Ideograph mode; a Japanese model reads Shift-JIS in any mode, and receiptline tells it only its country."""


def ideographs(job: bytes) -> bytes:
    """What a printer would write with its ideograph font: the double bytes from there to FS . or the line's end."""
    spans = re.findall(_BEGINS + rb"(.*?)(?:" + re.escape(KANJI_OFF) + rb"|\n)", job, re.DOTALL)
    return b"".join(re.findall(rb"[\x81-\xfe][\x40-\xfe]", b"".join(spans)))


@pytest.mark.parametrize(("encoding", "text"), TEXTS)
def test_ideographs_go_out_as_the_same_double_bytes_in_ideograph_mode(encoding: str, text: str) -> None:
    profile, codec, _ = CASES[encoding]
    ours = render(Document((Text(text),)), PROFILES[profile], "1")
    theirs = node.receiptline_bytes(text.replace("|", "\\|"), encoding)
    assert ideographs(ours) == ideographs(theirs) == b"".join(sign.encode(codec) for sign in text if sign > "\x7f")


@pytest.mark.parametrize(("encoding", "text"), TEXTS)
def test_ours_leaves_ideograph_mode_before_ascii_so_that_no_letter_becomes_half_a_sign(
    encoding: str, text: str
) -> None:
    profile, codec, _ = CASES[encoding]
    ours = render(Document((Text(text),)), PROFILES[profile], "1")
    for run in re.findall(re.escape(KANJI_ON) + rb"(.*?)" + re.escape(KANJI_OFF), ours, re.DOTALL):
        assert all(sign > "\x7f" for sign in run.decode(codec))
    assert ours.count(KANJI_ON) == ours.count(KANJI_OFF) - 1, "each run is closed, and a job begins outside of it"
