"""receiptline, which others made, beside our renderer: the same Chinese text, the same bytes in the same mode."""

from __future__ import annotations

import re

import pytest

from drivers.document import Document, Text
from drivers.printers.characters import KANJI_OFF, KANJI_ON
from drivers.printers.escpos import render
from drivers.printers.profiles import PROFILES
from tests.drivers.peers import node

pytestmark = [pytest.mark.proof, node.needed]

TEXTS = ["合计", "演示信用付", "人民路店,二楼", "￥128.00", "重印 COPY", "A合B计C", "，。；：“”", "镕喆翀", "№①㈠ⅠΩ"]
_COMMAND = re.compile(rb"\x1b[@2]|\x1b[3ER!ad{-]?[\x00-\x1f01]|\x1d!.|\x1c[-!].|\x1b.[\x00-\x30]")


def ideographs(job: bytes) -> bytes:
    """What a printer would write with its ideograph font: the double bytes between FS & and FS . or the line's end."""
    spans = re.findall(re.escape(KANJI_ON) + rb"(.*?)(?:" + re.escape(KANJI_OFF) + rb"|\n)", job, re.DOTALL)
    return b"".join(re.findall(rb"[\x81-\xfe][\x40-\xfe]", b"".join(spans)))


@pytest.mark.parametrize("text", TEXTS)
def test_chinese_goes_out_as_the_same_double_bytes_in_ideograph_mode(text: str) -> None:
    ours = render(Document((Text(text),)), PROFILES["generic-80"], "1")
    theirs = node.receiptline_bytes(text.replace("|", "\\|"), "gb18030")
    assert ideographs(ours) == ideographs(theirs) == b"".join(sign.encode("gb18030") for sign in text if sign > "\x7f")


@pytest.mark.parametrize("text", TEXTS)
def test_ours_leaves_ideograph_mode_before_ascii_so_that_no_letter_becomes_half_a_sign(text: str) -> None:
    ours = render(Document((Text(text),)), PROFILES["generic-80"], "1")
    for run in re.findall(re.escape(KANJI_ON) + rb"(.*?)" + re.escape(KANJI_OFF), ours, re.DOTALL):
        assert all(sign > "\x7f" for sign in run.decode("gb18030"))
    assert ours.count(KANJI_ON) == ours.count(KANJI_OFF) - 1, "each run is closed, and a job begins outside of it"
