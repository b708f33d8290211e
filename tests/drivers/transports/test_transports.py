"""Lines to devices: bytes pass whole, time-outs hold, and every failure is a TransportError with a known reason."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.errors import TransportError
from drivers.remedies import REMEDIES
from drivers.transports.evdev import evdev
from drivers.transports.file import FileTransport
from drivers.transports.hidraw import hidraw
from drivers.transports.serial_port import SerialSettings, SerialTransport
from drivers.transports.tcp import TcpTransport
from drivers.transports.transport import Transport, open_failure
from drivers.virtual.scanner import VirtualScanner

WAIT_S = 15.0
"""For what comes at once on a machine that has time."""


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        yield listening


def connected(server: socket.socket) -> tuple[TcpTransport, socket.socket]:
    line = TcpTransport(*server.getsockname())
    line.open(WAIT_S)
    peer, _ = server.accept()
    return line, peer


def test_tcp_delivers_the_last_byte_even_when_answers_were_never_read(server: socket.socket) -> None:
    line, peer = connected(server)
    received = bytearray()

    def slow_printer() -> None:
        peer.sendall(b"\x10\x00\x00\x00" * 10)
        time.sleep(0.05)
        while data := peer.recv(1000):
            received.extend(data)
        peer.close()

    thread = threading.Thread(target=slow_printer)
    thread.start()
    line.write(b"x" * 50_000, WAIT_S)
    line.close()
    thread.join()
    assert len(received) == 50_000


def test_tcp_reads_what_has_arrived_and_nothing_after_the_time_out(server: socket.socket) -> None:
    line, peer = connected(server)
    peer.sendall(b"ab")
    assert line.read(100, WAIT_S) == b"ab"
    assert line.read(100, 0.05) == b""
    peer.close()
    with pytest.raises(TransportError, match="lost"):
        line.read(100, WAIT_S)


def test_tcp_write_to_a_stuck_peer_ends_within_its_time(server: socket.socket) -> None:
    line, peer = connected(server)
    with pytest.raises(TransportError) as caught:
        line.write(b"x" * 20_000_000, 0.2)
    assert caught.value.reason == "stalled"
    assert 0 < caught.value.sent_max < 20_000_000
    peer.close()


def test_serial_passes_bytes_both_ways(tmp_path: Path) -> None:
    end = VirtualScanner(tmp_path / "port")
    line = SerialTransport(str(end.path), SerialSettings(baud=115_200))
    line.open(WAIT_S)
    line.write(b"\x10\x04\x01" + bytes(range(256)) * 4, WAIT_S)
    assert os.read(end._master, 5000).startswith(b"\x10\x04\x01\x00\x01")
    os.write(end._master, b"\x12")
    assert line.read(10, WAIT_S) == b"\x12"
    assert line.read(10, 0.02) == b""
    end.close()
    with pytest.raises(TransportError, match="lost"):
        line.read(10, 0.5)
    line.close()


def test_a_file_gets_every_byte_and_never_answers(tmp_path: Path) -> None:
    line = FileTransport(str(tmp_path / "slips"))
    for _ in range(2):
        line.open(WAIT_S)
        line.write(b"abc", WAIT_S)
        assert line.read(10, 0.1) == b""
        line.close()
    assert (tmp_path / "slips").read_bytes() == b"abcabc"


def test_a_character_device_is_read_as_well_as_written(tmp_path: Path) -> None:
    end = VirtualScanner(tmp_path / "lp0")  # a pty is a character device, as /dev/usb/lp0 is
    line = FileTransport(str(end.path))
    line.open(WAIT_S)
    line.write(b"\x10\x04\x01", WAIT_S)
    assert os.read(end._master, 10) == b"\x10\x04\x01"
    os.write(end._master, b"\x12")
    assert line.read(10, WAIT_S) == b"\x12"
    line.close()
    end.close()


LINES: dict[str, Transport] = {
    "tcp": TcpTransport("127.0.0.1", 1),
    "serial": SerialTransport("/dev/does-not-exist", SerialSettings()),
    "file": FileTransport("/does/not/exist"),
}


@pytest.mark.parametrize("scheme", LINES)
def test_a_line_that_is_not_there_is_unreachable_and_an_unopened_one_is_lost(scheme: str) -> None:
    line = LINES[scheme]
    with pytest.raises(TransportError) as caught:
        line.open(0.5)
    assert caught.value.reason == "unreachable"
    with pytest.raises(TransportError) as caught:
        line.write(b"x", 0.5)
    assert (caught.value.reason, caught.value.sent_max) == ("lost", 0)
    line.close()
    line.close()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(errno.EACCES, "no"), "denied"),
        (OSError(errno.EBUSY, "usblp has it"), "busy"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "off"), "unreachable"),
        (TimeoutError("no route"), "unreachable"),
        (OSError("no number at all"), "unreachable"),
    ],
)
def test_why_a_line_did_not_open_is_one_of_three_reasons_with_a_remedy(error: OSError, reason: str) -> None:
    assert open_failure(error).reason == reason
    assert reason in REMEDIES


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A node that something writes into: its writer's end closed is a device that was pulled out."""
    path = tmp_path / "node"
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    yield path, end
    with contextlib.suppress(OSError):
        os.close(end)


def test_a_node_is_read_and_its_end_in_mid_read_is_a_lost_line(fifo: tuple[Path, int]) -> None:
    path, end = fifo
    node = hidraw(str(path))
    node.open(1)
    os.write(end, b"report")
    assert node.read(4096, 1) == b"report"
    assert node.read(4096, 0.01) == b""
    os.close(end)
    with pytest.raises(TransportError) as raised:
        node.read(4096, 1)
    assert raised.value.reason == "lost"
    node.close()
    with pytest.raises(TransportError):
        node.read(4096, 1)


def test_two_of_our_programs_never_share_a_hid_device(fifo: tuple[Path, int]) -> None:
    first, second = hidraw(str(fifo[0])), hidraw(str(fifo[0]))
    first.open(1)
    with pytest.raises(TransportError) as raised:
        second.open(1)
    assert raised.value.reason == "busy"
    first.close()
    second.open(1)
    second.close()


def test_a_keyboard_that_cannot_be_grabbed_is_not_read_at_all(fifo: tuple[Path, int]) -> None:
    """What another hears too would pay here and type there. A FIFO knows no grab: that is refused like a busy one."""
    with pytest.raises(TransportError):
        evdev(str(fifo[0])).open(1)


@pytest.mark.parametrize("transport", [hidraw, evdev])
def test_a_node_that_is_not_there_is_unreachable_and_takes_no_data(transport, tmp_path: Path) -> None:
    node = transport(str(tmp_path / "nothing"))
    with pytest.raises(TransportError) as raised:
        node.open(1)
    assert raised.value.reason == "unreachable"
    with pytest.raises(TransportError):
        node.write(b"x", 1)


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_no_space_means_the_disk_for_a_file_and_the_roll_for_a_printer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's driver of USB printers answers "no space left on device" while there is no paper."""
    reasons = []
    for path in (tmp_path / "slips", Path("/dev/full")):
        line = FileTransport(str(path))
        line.open(1.0)
        with monkeypatch.context() as patch, pytest.raises(TransportError) as raised:
            patch.setattr(os, "write", full)
            line.write(b"slip", 1.0)
        line.close()
        reasons.append((raised.value.reason, raised.value.sent_max))
    assert reasons == [("disk_full", 0), ("paper_out", 0)]
