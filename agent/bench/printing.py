"""What a slip costs: building it, its bytes on each paper, and the wait from the commit to the printer's first byte.

The one rule: slip, spool and printer are the product's own; only the printer's far end is a stand-in.
"""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

from agent.bench.measure import NS_PER_US, Figure, Size, compare
from agent.bench.props import LENDER, Till
from agent.core.authorization import Hold, HoldState
from agent.core.journal import Position
from agent.core.receipt import Seller, receipt_of
from agent.devices import ThreadedPrinter
from agent.services.slips import sale_slip
from agent.texts import Language
from drivers.document import Document, layout
from drivers.errors import UnprintableError
from drivers.printers import escpos
from drivers.printers.conversation import Patience
from drivers.printers.pos_printer import POSPrinter
from drivers.printers.profiles import PROFILES
from drivers.registry import started
from drivers.transports.tcp import TcpTransport
from drivers.virtual.printer import VirtualPrinter

SLIP_MAX_US: Final = 1_000
WAIT_S: Final = 5.0
PAPERS: Final = ("generic-80", "generic-58")
_JOB_BEGINS: Final = b"\x1b@"


def slips(size: Size) -> Iterator[Figure]:
    """From an approved hold to the bytes for the printer, beside encoding its text by hand."""
    profile = PROFILES["generic-80"]
    texts = [line.text for line in layout(_slip("zh-CN"), profile.columns)]
    _, ours = compare(
        size,
        lambda: b"\n".join(text.encode("gb18030") for text in texts),
        lambda: escpos.render(_slip("zh-CN"), profile, "1"),
    )
    yield Figure(
        "slip built",
        ours.median_us,
        "us",
        ours.ratio,
        "GB18030 by hand",
        f"<= {SLIP_MAX_US} us",
        "python-escpos's commands",
    )


def slip_bytes() -> Iterator[Figure]:
    """What a slip sends to its printer: Chinese in characters and, for a model that has none, as dots (these need a
    font); and English, which every model writes itself."""
    for profile in map(PROFILES.__getitem__, PAPERS):
        text = len(escpos.render(_slip("zh-CN"), profile, "1"))
        yield Figure(f"bytes of a slip, {profile.name}", text, "bytes")
        with suppress(UnprintableError):
            dots = len(escpos.render(_slip("zh-CN"), replace(profile, characters="none"), "1"))
            yield Figure(f"bytes of a slip, {profile.name}, as dots", dots, "bytes", dots / text, "characters")
        english = len(escpos.render(_slip("en"), replace(profile, characters="none"), "1"))
        yield Figure(f"bytes of a slip, {profile.name}, English", english, "bytes", english / text, "Chinese")


async def first_byte(directory: Path, runs: int) -> list[Figure]:
    """From the durable outcome of a sale to the first byte of its slip on the line."""
    paper = VirtualPrinter(directory / "paper")
    line = _Watched(*paper.address.removeprefix("tcp:").split(":"))
    printer = POSPrinter("printer", line, PROFILES["generic-80"], patience=(patience := Patience()))
    started(printer)
    till = Till(directory, printer=ThreadedPrinter(printer, "zh-CN"))
    spooling, taken = asyncio.create_task(till.lane.spooler.run()), list[float]()
    try:
        for _ in range(runs):
            await till.sell(till.code())
            began = time.perf_counter_ns()
            taken.append((await asyncio.to_thread(line.begun_ns.get, timeout=WAIT_S) - began) / NS_PER_US)
            await asyncio.to_thread(printer.read_status)  # it is answered when the slip is out and the stand-in idle
    finally:
        spooling.cancel()
        with suppress(asyncio.CancelledError):
            await spooling
        for closing in (till, printer, paper):
            closing.close()
    ratio, against = median(taken) / (patience.quiet_s * 1e6), "the pause for late answers"
    limit = "status and one answer are waited for first"
    return [Figure("commit to the slip's first byte", median(taken), "us", ratio, against, limit=limit)]


class _Watched(TcpTransport):
    """Notes when the first byte of each job leaves; questions about the status come before it."""

    def __init__(self, host: str, port: str) -> None:
        super().__init__(host, int(port))
        self.begun_ns: queue.Queue[int] = queue.Queue()

    def write(self, data: bytes, timeout_s: float) -> None:
        if data.startswith(_JOB_BEGINS):
            self.begun_ns.put(time.perf_counter_ns())
        super().write(data, timeout_s)


_WORDS: Final[dict[Language, tuple[str, str, str]]] = {
    "zh-CN": ("示例超市 Example Market", "人民路店", "花呗"),
    "en": ("Example Market", "Main Street", "Demo Credit"),
}


def _slip(language: Language) -> Document:
    merchant, store, lender = _WORDS[language]
    hold = Hold(LENDER, "sale-00000001", 1, HoldState.CAPTURED, bytes(16), 12_800, "CNY", "stand_in", "00")
    receipt = receipt_of(
        hold,
        seller=Seller(merchant, store, "lane-01"),
        lender=lender,
        local_time="2026-11-22 18:05:09 +08:00",
        entry=Position(1, 1),
    )
    return sale_slip(receipt, language)
