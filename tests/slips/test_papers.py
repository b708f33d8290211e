"""Every paper of a lane says all that it must, in each language and on each width, and is as it was approved.

To approve a change: `python -m tests.slips.sheets`, look at every picture, commit what changed.
"""

import io
from collections.abc import Iterator

import pytest
import zxingcpp
from PIL import Image, ImageChops

from agent.core.classify import classify
from agent.core.receipt import DECLINED, OCCASIONS
from agent.texts import LANGUAGES, Language, slip
from drivers.document import CODE_NAMES, Document, Pair, Qr, columns_of, layout
from drivers.rendering.picture import to_png
from tests.drivers.rendering.test_picture import has_approved_fonts, has_fonts
from tests.slips.sheets import COLUMNS, GOLDEN, named, page_of, picture_of, sheets, text_of
from tests.slips.story import papers

SHEETS = pytest.mark.parametrize(("language", "mm"), list(sheets()), ids=lambda each: str(each))
REPORTS = ["shift-opened", "shift-closed", "day-pending", "day-different", "day-matched"]
SLIPS = [
    "sale-offline", "sale-plan", "sale-coupon", "sale-cap", "sale-held", "sale-declined", "sale-copy", "sale-signed",
    "sale-online", "captured-less", "held-again", "reversed", "voided", "refunded-part", "refunded-plan",
    "refunded-whole", "refunded-elsewhere", "held-long", "next-day",
]  # fmt: skip


def said(language: Language, name: str, columns: int = 48) -> list[str]:
    """The lines of a paper."""
    return [line.text for line in layout(papers(language)[name], columns) if line.kind == "text"]


@SHEETS
def test_every_paper_reads_as_it_was_approved(language: Language, mm: int) -> None:
    golden = GOLDEN / named(language, mm)
    assert text_of(language, mm) == golden.with_suffix(".txt").read_text(encoding="utf-8")
    assert page_of(language, mm) == golden.with_suffix(".html").read_text(encoding="utf-8")


@pytest.mark.proof
@has_approved_fonts
@SHEETS
def test_every_paper_looks_as_it_was_approved(language: Language, mm: int) -> None:
    drawn, golden = picture_of(language, mm), Image.open(GOLDEN / f"{named(language, mm)}.png")
    assert drawn.size == golden.size
    changed = ImageChops.difference(drawn.convert("L"), golden.convert("L")).histogram()[255]
    assert changed / (drawn.width * drawn.height) < 0.002


def test_there_is_a_paper_of_every_occasion() -> None:
    assert papers("en").keys() == {*SLIPS, *REPORTS}
    headlines = {slip("en", occasion) for occasion in (*OCCASIONS.values(), DECLINED)}
    assert headlines == {line for name in SLIPS for line in said("en", name) if line in headlines}


@SHEETS
def test_amounts_end_at_the_right_edge_and_nothing_is_cut_off(language: Language, mm: int) -> None:
    columns = COLUMNS[mm]
    for document in papers(language).values():
        lines = [line for line in layout(document, columns) if line.kind == "text"]
        assert all(line.indent + columns_of(line.text) * (1 + line.double) <= columns for line in lines)
        ends = {line.text.split(" ")[-1] for line in lines if line.indent + columns_of(line.text) == columns}
        for pair in _pairs(document):
            assert pair.right.replace("¥", "￥").split(" ")[-1] in ends


def _pairs(document: Document) -> Iterator[Pair]:
    return (block for block in document.blocks if isinstance(block, Pair))


LAW = {
    "zh-CN": {
        "lender": "示例消费金融有限公司",
        "each payment with its date": "第3期 2027-04-15",
        "principal": "贷款本金",
        "total cost": "综合融资成本合计",
        "total to pay": "还款总额",
        "annual rate": "年化利率",
        "default charges": "违约成本",
        "nothing else is charged": "不收取其他任何费用",
        "warning against too much debt": "理性消费",
        "complaints": "投诉电话",
    },
    "en": {
        "lender": "Example Consumer Finance Ltd",
        "each payment with its date": "Payment 3, 2027-04-15",
        "principal": "Principal",
        "total cost": "All costs",
        "total to pay": "Total to pay",
        "annual rate": "Annual rate",
        "default charges": "If you do not pay in time",
        "nothing else is charged": "Nothing else is charged",
        "warning against too much debt": "too much debt",
        "complaints": "Complaints",
    },
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("part", LAW["en"])
@pytest.mark.parametrize("name", ["sale-plan", "sale-coupon"])
def test_a_sale_in_instalments_states_what_the_law_wants_stated(language: Language, part: str, name: str) -> None:
    """金规〔2026〕2号: the all-in cost of the loan; PBoC notice 2021 no. 3: its annual rate."""
    for columns in COLUMNS.values():
        whole = "".join(said(language, name, columns)).replace(" ", "")
        assert LAW[language][part].replace(" ", "") in whole


NEEDED = {
    "sale-offline": ("offline_guaranteed", "authorization_code", "response_code"),
    "sale-cap": ("offline",),
    "sale-online": ("online", "account", "lender"),
    "sale-signed": ("signature",),
    "sale-held": ("held",),
    "captured-less": ("sold",),
    "refunded-part": ("sold",),
    "refunded-plan": ("plan_left",),
    "refunded-whole": ("plan_nothing_left",),
    "refunded-elsewhere": ("sold_at",),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NEEDED)
def test_each_kind_of_slip_says_what_is_particular_to_it(language: Language, name: str) -> None:
    whole = "\n".join(said(language, name))
    assert [label for label in NEEDED[name] if slip(language, label) not in whole] == []


@has_fonts
@pytest.mark.parametrize("name", SLIPS)
def test_every_slips_code_is_read_by_both_decoders_from_the_narrowest_paper(name: str) -> None:
    """At one pixel a printer's dot (203 to the inch), black and white, by two decoders that have nothing in common."""
    pyzbar = pytest.importorskip("pyzbar.pyzbar", reason="pyzbar is not installed")
    document = papers("zh-CN")[name]
    (code,) = (block.data for block in document.blocks if isinstance(block, Qr))
    grey = Image.open(io.BytesIO(to_png(document, COLUMNS[58]))).convert("L")
    picture = grey.point(lambda level: 255 * (level >= 160))
    (by_zxing,) = zxingcpp.read_barcodes(picture)
    (by_zbar,) = pyzbar.decode(picture, symbols=[pyzbar.ZBarSymbol.QRCODE])
    assert by_zxing.bytes == by_zbar.data == code.encode()
    assert classify(by_zxing.bytes).kind == "slip"


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_bears_no_code_that_could_be_taken_for_a_sale(name: str) -> None:
    assert not any(line.kind in CODE_NAMES for line in layout(papers("en")[name], 48))
