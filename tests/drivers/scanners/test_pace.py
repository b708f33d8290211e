"""A line that floods costs a bounded share of the processor, and a scanner of a quick cashier is never made to wait."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.device import DataEvent, DeviceEvent
from drivers.registry import open_scanner
from drivers.scanners.pace import BURST_S, SHARE_MAX, Pace
from drivers.virtual.scanner import VirtualScanner

FLOODS = {"noise": os.urandom(4096), "codes of one letter": b"7\r" * 2048, "no end": b"7" * 4096}


@pytest.mark.parametrize("codes_a_second", [1, 5, 25])
def test_who_scans_for_an_hour_never_waits(codes_a_second: int) -> None:
    pace, cost_s = Pace(), 0.001
    rests = [pace.rest_s(cost_s, number / codes_a_second) for number in range(3600 * codes_a_second)]
    assert not any(rests)


def test_who_floods_for_an_hour_gets_its_share_and_no_more() -> None:
    pace, now_s, spent_s = Pace(), 0.0, 0.0
    while now_s < 3600:
        spent_s += 0.004
        now_s += 0.004 + pace.rest_s(0.004, now_s)
    assert spent_s == pytest.approx(3600 * SHARE_MAX, rel=0.05)


def flood(gun: VirtualScanner, data: bytes, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            os.write(gun._master, data)
        except BlockingIOError:
            stop.wait(0.001)


@pytest.mark.parametrize("what", FLOODS)
def test_a_flood_takes_no_processor_from_a_sale_and_the_next_code_is_read(what: str, tmp_path: Path) -> None:
    gun, stop, began_s = VirtualScanner(tmp_path / "gun"), threading.Event(), time.monotonic()
    heard: set[bytes] = set()

    def listen(event: DeviceEvent) -> None:
        if isinstance(event, DataEvent):
            heard.add(event.scan.raw)

    scanner = open_scanner("gun", f"serial:{gun.path}", {"pause_s": 0.05}, on_event=listen)
    flooding = threading.Thread(target=flood, args=(gun, FLOODS[what], stop))
    flooding.start()
    stop.wait(2.0)
    assert scanner._thread.ident is not None
    used_s = time.clock_gettime(time.pthread_getcpuclockid(scanner._thread.ident))
    allowed_s = BURST_S + SHARE_MAX * (time.monotonic() - began_s)
    stop.set()
    flooding.join()
    deadline_s = time.monotonic() + 60
    while b"6901234567892" not in heard and time.monotonic() < deadline_s:
        with suppress(TimeoutError):  # what the flood has left is read first
            gun.scan(b"\r6901234567892")
        time.sleep(0.1)
    scanner.close()
    gun.close()
    assert b"6901234567892" in heard
    assert used_s < allowed_s + 0.5, "and what the work at hand, and the waiting, cost"
