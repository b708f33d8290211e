"""Our printer on a till that others made: what was on its paper is read back from the picture that it drew.

What becomes of a slip at each fault there is in `tests/drivers/contracts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.document import Document, Pair, Qr, Rule, Text, to_text
from drivers.printers.pos_printer import POSPrinter
from drivers.registry import open_printer
from drivers.rendering.picture import GLYPH_DOTS, LEADING_DOTS, MARGIN_DOTS, to_png
from tests.drivers.peers.till import Till

pytestmark = [pytest.mark.proof, pytest.mark.parametrize("line", ["tcp", "serial"])]

CODE = "HTTPS://EXAMPLE.COM/S/0193A7F2"
SLIP = Document((Text("Example Market", "center"), *(Pair(f"Item {n}", f"{n}.00") for n in range(9)), Rule(), Qr(CODE)))
TEXT = [row.strip() for row in to_text(SLIP, 48).splitlines() if row.strip() and CODE not in row]
PROFILE = "epson-tm-t20ii"
"""emupos plays a model for Europe: no ideographs."""
HASTE = {"answer_s": 20.0, "confirm_s": 20.0, "write_s": 20.0, "quiet_s": 0.05}


@pytest.fixture
def printer(till: Till, line: str) -> Iterator[POSPrinter]:
    opened = open_printer("front", till.printers[line], {"profile": PROFILE, **HASTE})
    yield opened
    opened.close()


def rows(text: str) -> list[str]:
    return [row.strip() for row in text.splitlines() if row.strip()]


def picture(path: Path) -> Any:
    """Grey levels, rows by columns."""
    return pytest.importorskip("cv2", reason="the camera extra is not installed").imread(str(path), 0)


def inked(dots: Any) -> Any:
    """What is left without the empty edges."""
    down, across = (dots.any(axis=axis).nonzero()[0] for axis in (1, 0))
    return dots[down[0] : down[-1] + 1, across[0] : across[-1] + 1]


def test_what_is_on_the_paper_is_what_the_preview_says_and_its_code_can_be_read(
    till: Till, line: str, printer: POSPrinter
) -> None:
    zxing = pytest.importorskip("zxingcpp", reason="the camera extra is not installed")
    outcome = printer.print_document("job-1", SLIP, copy=False)
    assert (outcome.rung, outcome.evidence) == ("confirmed", "barrier"), "emupos echoes no process id"
    ((text, drawn),) = till.slips(line, 1)
    assert [row for row in rows(text) if not row.startswith("[")] == TEXT
    assert [code.text for code in zxing.read_barcodes(picture(drawn))] == [CODE]


def test_chinese_on_a_model_without_it_comes_out_dot_for_dot_as_in_our_picture(
    till: Till, line: str, printer: POSPrinter, tmp_path: Path
) -> None:
    words = Document((Text("演示信用付谢谢惠顾", "center", size="double"),))
    assert printer.print_document("job-1", words, copy=False).rung == "confirmed"
    (preview := tmp_path / "preview.png").write_bytes(to_png(words, 48))
    first_line = slice(MARGIN_DOTS, MARGIN_DOTS + 2 * GLYPH_DOTS + LEADING_DOTS)
    ours = picture(preview)[first_line] < 160
    paper = picture(till.slips(line, 1)[0][1]) < 128
    assert inked(ours).any()
    assert (inked(paper) == inked(ours)).all()
