"""The virtual printer on the wire, asked by a plain socket, with answers as recorded from other simulators."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.rendering import fonts
from drivers.rendering.picture import draw
from drivers.rendering.rows import Run, TextRow
from drivers.virtual.printer import VirtualPrinter
from tests.drivers.rendering.test_picture import has_fonts


def connect(paper: VirtualPrinter) -> socket.socket:
    _, host, port = paper.address.split(":")
    connection = socket.create_connection((host, int(port)), 15)
    connection.settimeout(15)
    return connection


def ask(paper: VirtualPrinter, question: bytes, size: int) -> str:
    """The answer of that many bytes; where none is to come, what comes within a moment."""
    with connect(paper) as connection:
        connection.settimeout(15 if size else 0.15)
        connection.sendall(question)
        answer = b""
        with suppress(TimeoutError):
            while not answer or len(answer) < size:
                answer += connection.recv(64)
        return answer.hex(" ")


DLE_EOT = b"\x10\x04\x01\x10\x04\x02\x10\x04\x03\x10\x04\x04"


@pytest.mark.parametrize(
    ("fault", "real_time", "paper_query"),
    [
        (lambda p: None, "12 12 12 12", "00"),
        (VirtualPrinter.paper_near_end, "12 12 12 1e", "03"),
        (VirtualPrinter.paper_out, "1a 32 12 7e", ""),
        (VirtualPrinter.hold, "1a 16 12 12", ""),
        (VirtualPrinter.off_line, "1a 12 12 12", ""),
        (VirtualPrinter.mute, "", ""),
    ],
)
def test_real_time_questions_are_always_answered_and_others_only_on_line(
    paper: VirtualPrinter, fault: Callable[[VirtualPrinter], None], real_time: str, paper_query: str
) -> None:
    fault(paper)
    assert ask(paper, DLE_EOT, len(bytes.fromhex(real_time))) == real_time
    assert ask(paper, b"\x1dr\x01", len(bytes.fromhex(paper_query))) == paper_query


def test_automatic_status_is_pushed_when_something_changes(paper: VirtualPrinter) -> None:
    with connect(paper) as connection:
        connection.sendall(b"\x1da\xff")
        assert connection.recv(4).hex() == "10000000"
        paper.paper_out()
        assert connection.recv(4).hex() == "18000f00"


def test_a_job_kept_while_held_prints_after_the_client_has_gone(paper: VirtualPrinter) -> None:
    paper.hold()
    with connect(paper) as connection:
        connection.sendall(b"kept\n\x1dV\x00")
        connection.sendall(b"\x10\x04\x01")
        connection.recv(1)  # now it has the job too
    assert paper.slips == []
    paper.release()
    assert paper.wait_for_slips(1, 15.0)
    assert paper.slips[0].text == "kept"


def test_power_off_empties_the_buffer_and_refuses_until_it_is_back_at_the_same_address(paper: VirtualPrinter) -> None:
    address = paper.address
    paper.hold()
    with connect(paper) as connection:
        connection.sendall(b"gone\n\x1dV\x00\x10\x04\x01")
        connection.recv(1)
        paper.unplug()
    with pytest.raises(ConnectionRefusedError):
        connect(paper)
    paper.release()
    assert paper.address == address
    assert ask(paper, b"\x10\x04\x01", 1) == "12"
    assert paper.slips == []


def test_slips_are_kept_as_files_numbered_on_over_restarts(tmp_path: Path) -> None:
    for _ in range(2):
        paper = VirtualPrinter(tmp_path)
        with connect(paper) as connection:
            connection.sendall(b"\x1c&\xba\xcf\x1c.\n\x1dV\x00")
            assert paper.wait_for_slips(1, 15.0)
        paper.close()
    names = {f"{number}.{kind}" for number in ("001", "002") for kind in ("escpos", "txt")}
    assert {p.name for p in tmp_path.iterdir() if p.suffix != ".png"} == names
    assert (tmp_path / "002.escpos").read_bytes() == b"\x1c&\xba\xcf\x1c.\n\x1dV\x00"
    assert (tmp_path / "002.txt").read_text(encoding="utf-8") == "合\n"


def test_a_slip_that_lost_its_end_is_marked_as_torn(paper: VirtualPrinter, tmp_path: Path) -> None:
    with connect(paper) as connection:
        connection.sendall(b"half a sl")
    assert paper.wait_for_slips(1, 15.0)
    assert (paper.slips[0].text, paper.slips[0].complete) == ("half a sl", False)
    assert (tmp_path / "slips" / "001.txt").read_text(encoding="utf-8") == "half a sl\n[TORN]\n"


@has_fonts
def test_each_slip_leaves_the_picture_of_what_its_bytes_say_on_its_own_width_of_paper(tmp_path: Path) -> None:
    paper = VirtualPrinter(tmp_path, columns=32)
    with connect(paper) as connection:
        connection.sendall(b"\x1d!\x11" + b"wider than this paper" + b"\x1d!\x00\n\x1dV\x00" + b"torn")
        assert paper.wait_for_slips(1, 15.0)
    paper.close()
    big = [TextRow((Run(part, double=True),)) for part in ("wider than this ", "paper")]
    assert (tmp_path / "001.png").read_bytes() == draw(big, 32)
    assert (tmp_path / "002.png").read_bytes() == draw([TextRow((Run("torn"),))], 32)


def test_bytes_that_no_picture_can_show_leave_their_text_and_harm_nothing(tmp_path: Path) -> None:
    paper = VirtualPrinter(tmp_path)
    with connect(paper) as connection:
        connection.sendall(b"\n" * 20_000 + b"far below\n\x1dV\x00")
        connection.sendall(b"\x1d(k\xbb\x0b1P0" + b"x" * 3000 + b"\x1d(k\x03\x001Q0\n\x1dV\x00" + b"next\n\x1dV\x00")
        assert paper.wait_for_slips(3, 15.0)
    paper.close()
    assert [slip.text[:9] for slip in paper.slips] == ["far below", "[QR: xxxx", "next"]
    assert not (tmp_path / "001.png").exists()
    assert not (tmp_path / "002.png").exists()


def test_without_a_font_slips_are_kept_without_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "WIDE", ())
    monkeypatch.setattr(fonts, "NARROW", ())
    fonts.font.cache_clear()
    paper = VirtualPrinter(tmp_path)
    with connect(paper) as connection:
        connection.sendall(b"plain\n\x1dV\x00")
        assert paper.wait_for_slips(1, 15.0)
    paper.close()
    assert {path.name for path in tmp_path.iterdir()} == {"001.escpos", "001.txt"}
    fonts.font.cache_clear()
