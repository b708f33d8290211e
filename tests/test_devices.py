"""What the lane makes of a print job: the cashier is told in the lane's language, and warned before a second slip."""

import pytest

from agent.devices import print_result
from agent.ports import PrintResult
from agent.texts import Language
from drivers.printers.outcome import PrintOutcome, Rung

TELLS: list[tuple[Rung, str, Language, str | None]] = [
    ("confirmed", "", "en", None),
    ("not_started", "paper_out", "en", "Put in a new paper roll."),
    ("not_started", "paper_out", "zh-CN", "请更换纸卷。"),
    (
        "doubtful",
        "paper_out",
        "en",
        "Put in a new paper roll. Look whether the whole slip came out before you print again.",
    ),
    ("doubtful", "paper_out", "zh-CN", "请更换纸卷。再次打印前，请先查看小票是否已完整打出。"),
]


@pytest.mark.parametrize(("rung", "reason", "language", "action"), TELLS)
def test_what_to_do_is_said_in_the_lanes_language_and_a_doubtful_slip_is_warned_of(
    rung: Rung, reason: str, language: Language, action: str | None
) -> None:
    assert print_result(PrintOutcome(rung, reason), language) == PrintResult(rung, reason or None, action)
