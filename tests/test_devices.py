"""What the lane makes of a print job: the cashier is told in the lane's language, and warned before a second slip."""

import asyncio
from pathlib import Path

import pytest

from agent import devices
from agent.config import parse
from agent.devices import print_result
from agent.ports import PrintResult
from agent.texts import Language
from drivers.printers.outcome import PrintOutcome, Rung
from drivers.scanners.scanner import Scanner
from drivers.virtual.scanner import VirtualScanner

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


def test_one_scanner_whose_section_cannot_be_used_does_not_keep_the_others_from_working(tmp_path: Path) -> None:
    """All on the lane's own loop: a code is taken, and only then is the next one of that scanner handed over."""
    config = parse(
        f'[scanner.left]\naddress = "virtual:{tmp_path}/left"\n'
        f'[scanner.wrong]\naddress = "camera:0"\nregion = "90,0,90,100"\n'
        f'[scanner.gone]\naddress = "usb:1209:ffff"\n'
    )
    taken: list[bytes] = []

    async def story() -> list[tuple[str, str]]:
        with devices.scanners_of(config, lambda scan: taken.append(scan.raw)) as scanners:
            left = scanners[0]
            assert isinstance(left, Scanner)
            assert isinstance(left.stand_in, VirtualScanner)
            for code in (b"4006381333931", b"second", b"third"):
                left.stand_in.scan(code)
            for _ in range(6_000):
                await asyncio.sleep(0.01)
                if len(taken) == 3:
                    break
            return [(scanner.name, scanner.state.reason) for scanner in scanners]

    assert asyncio.run(story()) == [("left", ""), ("wrong", "misconfigured"), ("gone", "not_plugged_in")]
    assert taken == [b"4006381333931", b"second", b"third"]
