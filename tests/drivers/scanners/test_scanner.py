"""A serial scanner on a real pseudo-terminal: codes arrive, and unplugging costs no more than the code in flight."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import pytest

from drivers.device import DataEvent, DeviceEvent, ErrorEvent, StatusUpdateEvent
from drivers.errors import OptionError
from drivers.scanners.commands import command
from drivers.scanners.framing import Framer, Framing
from drivers.scanners.scanner import Scanner
from drivers.transports.serial_port import SerialSettings, SerialTransport
from drivers.virtual.scanner import VirtualScanner
from tests.drivers.conftest import PATIENCE_S, Events


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
        assert scanner._attempted.wait(PATIENCE_S)  # what is sent before the port is open is thrown away
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
    assert [name for name, _ in groupby(name for name, _ in states(events))] == ["failed", "enabled"] * 2
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
    deadline_s = time.monotonic() + PATIENCE_S
    while scanner.statistics.snapshot()["event_lost_count"] < 2 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    counts = scanner.statistics.snapshot()
    assert (counts["good_scan_count"], counts["event_lost_count"]) == (3, 2)


def test_a_port_in_use_says_so(gun: VirtualScanner, listen, events: Events) -> None:
    listen()
    second = listen()
    events.until(lambda seen: bool(seen))
    assert second.state.reason == "busy"


def test_closing_ends_its_thread_and_is_final(gun: VirtualScanner, listen) -> None:
    scanner = listen()
    scanner.close()
    assert not scanner._thread.is_alive()
    assert scanner.state.name == "closed"


class Scripted:
    """A line that does what the test says, one entry for each read."""

    def __init__(self, *reads: bytes | Exception) -> None:
        self.reads = list(reads)
        self.opened = 0

    def open(self, timeout_s: float) -> None:
        self.opened += 1

    def read(self, size_max: int, timeout_s: float) -> bytes:
        if not self.reads:
            time.sleep(0.01)
            return b""
        following = self.reads.pop(0)
        if isinstance(following, Exception):
            raise following
        return following

    def write(self, data: bytes, timeout_s: float) -> None: ...
    def close(self) -> None: ...


def started(line: Scripted, on_event, **more: object) -> Scanner:
    scanner = Scanner("gun", line, lambda: Framer(Framing()), on_event, **more)
    for step in (scanner.open, scanner.claim, scanner.enable):
        step()
    return scanner


def test_a_fault_of_the_program_costs_a_pause_and_never_the_scanner(events: Events) -> None:
    scanner = started(Scripted(ZeroDivisionError("a bug"), b"next\r"), events.put)
    assert events.codes(1) == [(b"next", None)]
    assert states(events) == [("failed", "driver_fault"), ("enabled", "")]
    scanner.close()


def test_a_scanner_that_waits_tries_at_once_when_something_is_plugged_in(
    gun: VirtualScanner, listen, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.scanners.scanner._BACKOFF_S", (300.0,))
    gun.unplug()
    scanner = listen()
    events.until(lambda seen: bool(seen))
    gun.replug()
    scanner.try_now()
    events.until(lambda _: scanner.state.name == "enabled", 20)


def test_reads_wait_until_the_consumer_is_ready_and_none_is_lost(events: Events) -> None:
    scanner = started(Scripted(b"1\r2\r3\r"), events.put, one_at_a_time=True)
    assert [raw for raw, _ in events.codes(1)] == [b"1"]
    time.sleep(0.05)
    assert ([raw for raw, _ in events.codes(0)], scanner.data_count) == ([b"1"], 2)
    scanner.enable_data()
    scanner.enable_data()
    assert [raw for raw, _ in events.codes(0)] == [b"1", b"2", b"3"]
    scanner.close()


def test_a_read_that_nobody_took_in_time_is_forgotten_with_a_word(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.scanners.data_queue.AGE_MAX_S", 0.05)
    scanner = started(Scripted(b"1\r2\r"), events.put, one_at_a_time=True)
    events.codes(1)
    time.sleep(0.1)
    scanner.enable_data()
    assert [event.reason for event in events.drain() if isinstance(event, ErrorEvent)] == ["too_old"]
    assert scanner.statistics.snapshot()["stale_scan_count"] == 1
    scanner.close()


def test_an_interactive_check_is_passed_by_a_scan(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Scripted()
    scanner = started(line, events.put)
    with monkeypatch.context() as hurry:
        hurry.setattr("drivers.scanners.scanner._INTERACTIVE_S", 0.1)
        assert scanner.check_health("interactive").reason == "not_scanned"
    assert scanner.check_health("external").good
    threading.Timer(0.1, lambda: line.reads.append(b"code\r")).start()
    assert scanner.check_health("interactive").good
    scanner.close()


@pytest.mark.parametrize("minutes", [2, pytest.param(60, marks=pytest.mark.proof)])
def test_five_reads_a_second_for_an_hour_leave_nothing_behind(minutes: int) -> None:
    """Without its pauses. Every third code is broken off; every one is told."""
    count = minutes * 60 * 5
    codes = [b"69%011d\r" % number if number % 3 else b"]C1broken off\x00\r\n" for number in range(count)]
    taken: list[bytes] = []

    def take(event: DeviceEvent) -> None:
        if isinstance(event, DataEvent):
            taken.append(event.scan.raw)

    scanner = started(Scripted(*(b"".join(codes[at : at + 7]) for at in range(0, len(codes), 7))), take)
    deadline_s = time.monotonic() + 300
    while len(taken) < len(codes) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert len(taken) == scanner.statistics.snapshot()["good_scan_count"] == len(codes)
    assert scanner.data_count == 0
    scanner.close()


def test_a_command_is_sent_between_reads_and_codes_go_on(gun: VirtualScanner, listen, events: Events) -> None:
    scanner = listen()
    scanner.send(command("datalogic", "beep"))
    scanner.send(command("honeywell", "trigger"))
    gun.scan(b"code")
    assert events.codes(1) == [(b"code", None)]
    deadline_s, heard = time.monotonic() + PATIENCE_S, b""
    while len(heard) < 4 and time.monotonic() < deadline_s:
        with contextlib.suppress(BlockingIOError):
            heard += os.read(gun._master, 16)
    assert heard == b"\x01\x16T\r"


def test_a_command_that_a_maker_does_not_have_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(OptionError, match="release, trigger"):
        command("honeywell", "dance")
    with pytest.raises(OptionError, match="datalogic, honeywell, zebra"):
        command("nobody", "beep")


@pytest.mark.parametrize("name", ["beep", "disable", "enable", "trigger", "release"])
def test_a_command_of_zebras_interface_tells_its_length_and_adds_up_to_nothing(name: str) -> None:
    data = command("zebra", name)
    assert data[0] == len(data) - 2
    assert (sum(data[:-2]) + int.from_bytes(data[-2:], "big")) % 65536 == 0
