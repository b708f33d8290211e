"""From a scan to its event, and to the durable outcome, through a real serial line (a pseudo-terminal).

The one rule: driver, thread, event loop and services are those of the daemon; only the backend is away.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import serial

from agent.bench.measure import NS_PER_US, Figure, Size, percentile
from agent.bench.props import Till
from agent.services.events import Listener
from drivers.device import DataEvent, DeviceEvent
from drivers.registry import open_scanner
from drivers.virtual.scanner import VirtualScanner

WAIT_S = 5.0
CODE = b"4006381333931"


def scan_events(directory: Path, size: Size) -> list[Figure]:
    """Each turn: a code to a thread that waits in a bare readline, the same code to our scanner and its event."""
    line, bare_line = VirtualScanner(directory / "event-scanner"), VirtualScanner(directory / "event-bare-scanner")
    heard, bare_heard = queue.Queue[int](), queue.Queue[int]()

    def on_event(event: DeviceEvent) -> None:
        if isinstance(event, DataEvent):
            heard.put(time.perf_counter_ns())

    def read_bare() -> None:
        while port.read_until(b"\r"):
            bare_heard.put(time.perf_counter_ns())

    device = open_scanner("counter", f"serial:{line.path}", {}, on_event=on_event)
    port = serial.Serial(str(bare_line.path), timeout=WAIT_S)
    reader = threading.Thread(target=read_bare, daemon=True)
    reader.start()
    _heard_us(line, heard)  # what reads article numbers is loaded with the first one
    try:
        taken = [(_heard_us(bare_line, bare_heard), _heard_us(line, heard)) for _ in range(size.total)]
    finally:
        port.cancel_read()
        reader.join()
        port.close()
        for closing in (device, line, bare_line):
            closing.close()
    bare, ours = (list(values) for values in zip(*taken, strict=True))
    ratio, limit = median(ours) / median(bare), "framed, checked, and parsed as an article number"
    return [
        Figure("scan to a bare pyserial readline's end", median(bare), "us"),
        Figure("scan to a bare pyserial readline's end, p99", percentile(bare, 0.99), "us"),
        Figure("scan to event", median(ours), "us", ratio, "bare readline", limit=limit),
        Figure("scan to event, p99", percentile(ours, 0.99), "us"),
    ]


def _heard_us(line: VirtualScanner, heard: queue.Queue[int]) -> float:
    began = time.perf_counter_ns()
    line.scan(CODE)
    return (heard.get(timeout=WAIT_S) - began) / NS_PER_US


async def scans(directory: Path, size: Size) -> list[Figure]:
    """Each turn: a bare readline of a code, a decision without scanner, a scan to its decision."""
    till, loop = Till(directory), asyncio.get_running_loop()
    line, bare_line = VirtualScanner(directory / "scanner"), VirtualScanner(directory / "bare-scanner")

    def on_event(event: DeviceEvent) -> None:
        if isinstance(event, DataEvent):
            loop.call_soon_threadsafe(till.lane.counter.scanned, event.scan.raw, event.scan.device)

    device = open_scanner("counter", f"serial:{line.path}", {}, on_event=on_event)
    port = serial.Serial(str(bare_line.path), timeout=WAIT_S)
    events = till.lane.events.subscribe()
    taken: list[tuple[float, float, float]] = []
    try:
        for _ in range(size.blocks):
            till.maintain()
            for _ in range(size.runs):
                alone = _readline_us(port, bare_line, till), await _decide_us(till)
                taken.append((*alone, await _scan_us(till, line, events)))
    finally:
        port.close()
        await asyncio.to_thread(device.close)
        line.close()
        bare_line.close()
        till.close()
    return _figures(taken)


def _figures(taken: list[tuple[float, float, float]]) -> list[Figure]:
    readline, _, scanned = (list(values) for values in zip(*taken, strict=True))
    ratio = median(scan / (read + decide) for read, decide, scan in taken)
    against = "readline + decision alone"
    return [
        Figure("bare pyserial readline of a code", median(readline), "us"),
        Figure(
            "scan to decision over a pty", median(scanned), "us", ratio, against, limit="a thread's and a loop's wake"
        ),
        Figure("scan to decision over a pty, p99", percentile(scanned, 0.99), "us"),
    ]


def _readline_us(port: Any, line: VirtualScanner, till: Till) -> float:
    code = till.code().encode()
    began = time.perf_counter_ns()
    line.scan(code)
    assert port.read_until(b"\r") == code + b"\r"
    return (time.perf_counter_ns() - began) / NS_PER_US


async def _decide_us(till: Till) -> float:
    code = till.code()
    began = time.perf_counter_ns()
    await till.sell(code)
    return (time.perf_counter_ns() - began) / NS_PER_US


async def _scan_us(till: Till, line: VirtualScanner, events: Listener) -> float:
    code, order = till.code().encode(), till.order()
    await till.lane.counter.open_sale(order)
    began = time.perf_counter_ns()
    line.scan(code)
    while (event := await asyncio.wait_for(events.get(), WAIT_S)) is not None:
        view = event["data"]
        if view.get("sale_id") == order.sale_id and view["state"] == "approved":
            break
    return (time.perf_counter_ns() - began) / NS_PER_US
