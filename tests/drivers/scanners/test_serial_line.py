"""Serial scanners on ports as shops have them: every framing, split anywhere, noise, wrong speed, plugs pulled.

Each test runs on a pseudo-terminal of our own and on a pair that socat makes, which behaves like a null-modem cable.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from drivers.device import DataEvent, ErrorEvent
from drivers.scanners.framing import SUFFIX_BYTES, Framer, Framing
from drivers.scanners.scanner import Scanner
from drivers.transports.serial_port import SerialSettings, SerialTransport
from drivers.virtual.scanner import VirtualScanner
from tests.drivers.conftest import PATIENCE_S, Events

CODES = [b"6901234567892", b"]Q1hQVDUFYwMWGC" * 30, b"\x1d0106901234567892", "合计".encode("gb18030"), b"!"]


class Cable:
    """A null-modem cable: what is written into one end comes out of the port."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._far = path.with_suffix(".far")
        self.replug()

    def send(self, data: bytes) -> None:
        with self._far.open("r+b", buffering=0) as end:
            while data:
                data = data[end.write(data) :]

    def unplug(self) -> None:
        self._socat.kill()
        self._socat.wait()
        for end in (self.path, self._far):
            end.unlink(missing_ok=True)

    def replug(self) -> None:
        ends = [f"pty,raw,echo=0,link={end}" for end in (self._far, self.path)]
        self._socat = subprocess.Popen(["socat", *ends])
        while not (self.path.exists() and self._far.exists()):
            time.sleep(0.005)

    close = unplug


class Pty(VirtualScanner):
    """The product's own stand-in, asked for raw bytes."""

    def send(self, data: bytes) -> None:
        self._write(data, time.monotonic() + PATIENCE_S)


Line = Cable | Pty


@pytest.fixture(params=["pty", "socat"])
def plug(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Line]]:
    if request.param == "socat" and shutil.which("socat") is None:
        pytest.skip("socat is not installed")
    made: list[Line] = []

    def new(name: str) -> Line:
        made.append(Cable(tmp_path / name) if request.param == "socat" else Pty(tmp_path / name))
        return made[-1]

    yield new
    for line in made:
        line.close()


@pytest.fixture
def listen() -> Iterator[Callable[..., Scanner]]:
    with contextlib.ExitStack() as stack:

        def start(line: Line, events: Events, framing: Framing | None = None) -> Scanner:
            transport = SerialTransport(str(line.path), SerialSettings())
            scanner = Scanner(line.path.name, transport, lambda: Framer(framing or Framing()), events.put)
            for step in (scanner.open, scanner.claim, scanner.enable):
                step()
            stack.callback(scanner.close)
            assert scanner._attempted.wait(PATIENCE_S)  # what is sent before the port is open is thrown away
            return scanner

        yield start


def in_pieces(line: Line, data: bytes, size: int) -> None:
    for start in range(0, len(data), size):
        line.send(data[start : start + size])


@pytest.mark.parametrize("suffix", [name for name, suffix in SUFFIX_BYTES.items() if suffix])
@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
def test_every_framing_gives_the_codes_however_they_are_split(plug, listen, events: Events, suffix, size) -> None:
    line = plug("gun")
    listen(line, events, Framing(suffix, aim_prefix=False))
    in_pieces(line, b"".join(code + SUFFIX_BYTES[suffix] for code in CODES), size)
    assert events.codes(len(CODES)) == [(code, None) for code in CODES]


def test_codes_without_suffix_are_told_apart_by_their_pauses(plug, listen, events: Events) -> None:
    line = plug("gun")
    listen(line, events, Framing("timeout", pause_s=0.5))  # a busy machine pauses between two pieces too
    for number, code in enumerate(CODES, 1):
        in_pieces(line, code, 64)
        events.codes(number)
    assert [raw for raw, _ in events.codes(0)] == [code.removeprefix(b"]Q1") for code in CODES]


def test_noise_between_codes_is_not_part_of_them(plug, listen, events: Events) -> None:
    line, noise = plug("gun"), random.Random(7)
    listen(line, events)
    for code in CODES:
        line.send(bytes(noise.choices(b"\x00\x01\x02\x06\x07\x15\x7f\n", k=9)) + code + b"\r")
    assert [raw for raw, _ in events.codes(len(CODES))] == [code.removeprefix(b"]Q1") for code in CODES]


def test_two_scanners_that_send_at_once_mix_no_digit(plug, listen) -> None:
    """One decoder for all devices is a fault that is on the market."""
    lines, heard = [plug("left"), plug("right")], [Events(), Events()]
    sent = [[b"%d-%04d" % (side, number) * 3 for number in range(60)] for side in (1, 2)]
    for line, events in zip(lines, heard, strict=True):
        listen(line, events)
    talking = [
        threading.Thread(target=lambda line=line, codes=codes: [in_pieces(line, code + b"\r", 1) for code in codes])
        for line, codes in zip(lines, sent, strict=True)
    ]
    for thread in talking:
        thread.start()
    for thread in talking:
        thread.join()
    assert [[raw for raw, _ in events.codes(60)] for events in heard] == sent
    assert [{e.scan.device for e in events.seen if isinstance(e, DataEvent)} for events in heard] == [
        {"left"},
        {"right"},
    ]


def test_a_busy_counter_loses_and_doubles_nothing(plug, listen, events: Events) -> None:
    """Five times the pace of a quick cashier, who scans five articles a second."""
    line = plug("gun")
    scanner = listen(line, events)
    codes = [b"69%011d" % number for number in range(50)]
    for code in codes:
        line.send(code + b"\r")
        time.sleep(0.04)
    assert [raw for raw, _ in events.codes(len(codes))] == codes
    counts = scanner.statistics.snapshot()
    assert (counts["good_scan_count"], counts["failed_scan_count"], counts["reconnect_count"]) == (50, 0, 0)


@pytest.mark.parametrize(("sent_at", "read_at"), [(9600, 115200), (115200, 9600), (9600, 19200), (19200, 9600)])
def test_a_wrong_speed_gives_no_right_code_and_the_right_speed_needs_no_restart(
    plug, listen, events: Events, sent_at: int, read_at: int
) -> None:
    line, code = plug("gun"), b"6901234567892"
    scanner = listen(line, events, Framing(pause_s=0.1))
    for _ in range(10):
        line.send(misread((code + b"\r") * 5, sent_at, read_at))
    time.sleep(0.25)
    garbage = list(events.drain())
    assert all(event.scan.raw != code for event in garbage if isinstance(event, DataEvent))
    again_until_heard(line, code, events)
    assert scanner.state.name == "enabled"
    assert sum(isinstance(event, ErrorEvent) for event in garbage) <= 10


def misread(data: bytes, sent_at: int, read_at: int) -> bytes:
    """What a receiver at another speed samples from the line: 8N1, start bit low, stop bit high, framing ignored."""
    level = [1] * 4 + [bit for byte in data for bit in (0, *(byte >> place & 1 for place in range(8)), 1)] + [1] * 40
    samples, now, step = bytearray(), 0.0, sent_at / read_at
    while now + 10 * step < len(level):
        if level[int(now)]:
            now += step / 4
            continue
        bits = [level[int(now + (1.5 + place) * step)] for place in range(8)]
        samples.append(sum(bit << place for place, bit in enumerate(bits)))
        now += 9.5 * step
    return bytes(samples)


def test_at_the_same_speed_that_receiver_reads_what_was_sent() -> None:
    assert misread(b"\r6901234567892U\xff\x00", 9600, 9600) == b"\r6901234567892U\xff\x00"


def again_until_heard(line: Line, code: bytes, events: Events) -> None:
    """What is sent while the port is being opened is thrown away, and what follows half a code is its end."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not any(isinstance(e, DataEvent) and e.scan.raw == code for e in events.drain()):
        assert time.monotonic() < deadline_s, f"deaf: {events.seen[-3:]}"
        line.send(code + b"\r")
        time.sleep(0.05)


def test_plugs_pulled_at_any_moment_cost_at_most_the_code_in_flight(
    plug, listen, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.scanners.scanner._BACKOFF_S", (0.01, 0.03))
    line, moments = plug("gun"), random.Random(3)
    scanner = listen(line, events)
    for number in range(12):
        with contextlib.suppress(OSError):
            line.send(b"half a code that never en")
        time.sleep(moments.choice([0, 0.001, 0.01, 0.06]))
        line.unplug()
        time.sleep(moments.choice([0, 0.002, 0.12]))
        line.replug()
        if number % 3 == 2:
            events.until(lambda _: scanner.state.name == "enabled")
            again_until_heard(line, b"whole %d" % number, events)
    scans = {event.scan.raw for event in events.drain() if isinstance(event, DataEvent)}
    assert scans == {b"whole 2", b"whole 5", b"whole 8", b"whole 11"}
    assert scanner._thread.is_alive()


def test_a_node_that_vanishes_while_it_is_being_opened_is_a_lost_line(tmp_path: Path, monkeypatch) -> None:
    """pyserial lets termios.error through, which is no OSError."""
    import termios

    from drivers.errors import TransportError

    def gone(*_: object) -> None:
        raise termios.error(5, "Input/output error")

    gun = VirtualScanner(tmp_path / "gun")
    with monkeypatch.context() as patch:
        patch.setattr(termios, "tcflush", gone)
        with pytest.raises(TransportError) as raised:
            SerialTransport(str(gun.path), SerialSettings()).open(1)
    assert raised.value.reason == "unreachable"
    gun.close()
    assert not os.path.lexists(gun.path)


def test_a_line_that_breaks_at_once_each_time_is_tried_less_and_less_often(events: Events) -> None:
    class Flapping:
        def __init__(self) -> None:
            self.opened_s: list[float] = []

        def open(self, timeout_s: float) -> None:
            self.opened_s.append(time.monotonic())

        def read(self, size_max: int, timeout_s: float) -> bytes:
            from drivers.errors import TransportError

            raise TransportError("lost")

        def write(self, data: bytes, timeout_s: float) -> None: ...
        def close(self) -> None: ...

    line = Flapping()
    scanner = Scanner("loose", line, lambda: Framer(Framing()), events.put)
    for step in (scanner.open, scanner.claim, scanner.enable):
        step()
    events.until(lambda _: len(line.opened_s) >= 4)
    scanner.close()
    waits_s = [later - sooner for sooner, later in pairwise(line.opened_s)]
    assert all(waited_s >= wait_s for waited_s, wait_s in zip(waits_s[:3], (0.1, 0.2, 0.5), strict=True))
