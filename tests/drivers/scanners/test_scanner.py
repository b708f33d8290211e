"""A serial scanner on a real pseudo-terminal: codes arrive, and unplugging costs no more than the code in flight."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.device import DataEvent, ErrorEvent, StatusUpdateEvent
from drivers.scanners.framing import Framer, Framing
from drivers.scanners.scanner import Scanner
from drivers.transports.serial_port import SerialSettings, SerialTransport
from drivers.virtual.scanner import VirtualScanner
from tests.drivers.conftest import Events


@pytest.fixture
def gun(tmp_path: Path) -> Iterator[VirtualScanner]:
    scanner = VirtualScanner(tmp_path / "scanner0")
    yield scanner
    scanner.close()


@pytest.fixture
def listen(gun: VirtualScanner, events: Events) -> Iterator[Callable[..., Scanner]]:
    opened: list[Scanner] = []

    def start(framing: Framing | None = None, on_event=None) -> Scanner:
        line = SerialTransport(str(gun.path), SerialSettings())
        scanner = Scanner("gun", line, lambda: Framer(framing or Framing()), on_event or events.put)
        scanner.open()
        scanner.claim()
        scanner.enable()
        opened.append(scanner)
        return scanner

    yield start
    for scanner in opened:
        scanner.close()


def states(events: Events) -> list[tuple[str, str]]:
    return [(e.state.name, e.state.reason) for e in events.drain() if isinstance(e, StatusUpdateEvent)]


def test_codes_arrive_with_device_time_and_symbology(gun: VirtualScanner, listen, events: Events) -> None:
    listen()
    before_s = time.monotonic()
    gun.scan(b"]E06901234567892")
    events.codes(1)
    (event,) = (e for e in events.seen if isinstance(e, DataEvent))
    assert (event.scan.raw, event.scan.symbology, event.scan.device) == (b"6901234567892", "]E0", "gun")
    assert before_s <= event.scan.monotonic_s <= time.monotonic()


@pytest.mark.parametrize("chunk", [1, 3, None])
def test_the_longest_code_arrives_whole_in_pieces_of_any_size(
    gun: VirtualScanner, listen, events: Events, chunk
) -> None:
    listen()
    code = bytes(0x21 + i % 90 for i in range(4096))
    gun.scan(code, chunk)
    gun.scan(b"next", chunk)
    assert events.codes(2) == [(code, None), (b"next", None)]


def test_unplug_and_replug_need_no_restart_and_mix_no_codes(gun: VirtualScanner, listen, events: Events) -> None:
    scanner = listen()
    gun.scan(b"first")
    events.codes(1)
    for _ in range(2):
        os.write(gun._master, b"half a co")
        time.sleep(0.05)
        gun.unplug()
        events.until(lambda seen: isinstance(seen[-1], StatusUpdateEvent) and seen[-1].state.name == "failed")
        assert not scanner.check_health().good
        gun.replug()
        events.until(lambda seen: isinstance(seen[-1], StatusUpdateEvent) and seen[-1].state.name == "enabled")
        gun.scan(b"second")
        events.until(lambda seen: isinstance(seen[-1], DataEvent))
    assert events.codes(3) == [(b"first", None), (b"second", None), (b"second", None)]
    assert [name for name, _ in states(events)] == ["failed", "enabled"] * 2
    assert scanner.statistics.snapshot()["reconnect_count"] == 2


def test_a_scanner_that_is_not_there_at_start_is_used_when_it_comes(
    gun: VirtualScanner, listen, events: Events
) -> None:
    gun.unplug()
    scanner = listen()
    events.until(lambda seen: bool(seen))
    assert (scanner.state.name, scanner.state.reason) == ("failed", "unreachable")
    gun.replug()
    events.until(lambda seen: len(seen) >= 2)
    gun.scan(b"hello")
    assert events.codes(1) == [(b"hello", None)]
    assert states(events) == [("failed", "unreachable"), ("enabled", "")]


def test_half_a_code_is_dropped_with_a_word_and_the_next_is_whole(gun: VirtualScanner, listen, events: Events) -> None:
    scanner = listen(Framing(pause_s=0.05))
    os.write(gun._master, b"half")
    events.until(lambda seen: any(isinstance(e, ErrorEvent) and e.reason == "unterminated" for e in seen))
    gun.scan(b"whole")
    assert events.codes(1) == [(b"whole", None)]
    assert scanner.statistics.snapshot()["failed_scan_count"] == 1


def test_a_code_without_suffix_ends_with_the_pause(gun: VirtualScanner, listen, events: Events) -> None:
    listen(Framing("timeout"))
    os.write(gun._master, b"6901234567892")
    assert events.codes(1) == [(b"6901234567892", None)]


def test_noise_without_end_is_one_error_and_no_harm(gun: VirtualScanner, listen, events: Events) -> None:
    listen()
    gun.scan(b"#" * 30_000)
    gun.scan(b"fine")
    assert events.codes(1) == [(b"fine", None)]
    assert [e.reason for e in events.seen if isinstance(e, ErrorEvent)] == ["overlong"]


def test_a_full_queue_loses_events_by_number_and_never_the_device(gun: VirtualScanner, listen) -> None:
    full: queue.Queue = queue.Queue(1)
    scanner = listen(on_event=full.put_nowait)
    for _ in range(3):
        gun.scan(b"x")
    deadline_s = time.monotonic() + 2
    while scanner.statistics.snapshot()["event_lost_count"] < 2 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    counts = scanner.statistics.snapshot()
    assert (counts["good_scan_count"], counts["event_lost_count"]) == (3, 2)


def test_a_port_in_use_says_so(gun: VirtualScanner, listen, events: Events) -> None:
    listen()
    second = listen()
    events.until(lambda seen: bool(seen))
    assert second.state.reason == "busy"


def test_closing_is_prompt_and_final(gun: VirtualScanner, listen) -> None:
    scanner = listen()
    start_s = time.monotonic()
    scanner.close()
    assert time.monotonic() - start_s < 1
    assert scanner.state.name == "closed"
