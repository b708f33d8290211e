"""Status bytes as real and simulated printers send them, alone, mixed and cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.printers.status import (
    NO_STATUS,
    Answer,
    AutomaticStatus,
    Barrier,
    PrinterStatus,
    ProcessId,
    RealTime,
    StatusStream,
    after,
)

GOOD = PrinterStatus(online=True, cover_open=False, paper="plenty", fault="none", drawer_pin_high=False)


def real_time(answers: str) -> PrinterStatus:
    status = NO_STATUS
    for n, byte in enumerate(bytes.fromhex(answers), start=1):
        status = after(status, RealTime(n, byte))
    return status


def automatic(frame: str) -> PrinterStatus:
    return after(NO_STATUS, AutomaticStatus(bytes.fromhex(frame)))


# The four answers to DLE EOT 1 to 4, and what they mean. The first six were recorded from a printer simulator.
@pytest.mark.parametrize(
    ("answers", "obstacle", "conditions", "paper"),
    [
        ("12 12 12 12", "", (), "plenty"),
        ("12 12 12 1e", "", ("paper_near_end",), "near_end"),
        ("1a 32 12 7e", "paper_out", ("paper_out",), "out"),
        ("1a 16 12 12", "cover_open", ("cover_open",), "plenty"),
        ("1a 12 12 12", "offline", ("offline",), "plenty"),
        ("16 12 12 12", "", (), "plenty"),
        ("1a 52 1a 12", "cutter_error", ("cutter_error",), "plenty"),
        ("1a 52 32 12", "printer_error", ("printer_error",), "plenty"),
        ("1a 52 52 12", "overheated", ("overheated",), "plenty"),
        ("1a 36 12 7e", "cover_open", ("cover_open",), "out"),
    ],
)
def test_real_time_answers(answers: str, obstacle: str, conditions: tuple[str, ...], paper: str) -> None:
    status = real_time(answers)
    assert (status.obstacle, status.conditions, status.paper) == (obstacle, conditions, paper)


@pytest.mark.parametrize(
    ("frame", "obstacle", "paper"),
    [
        ("10 00 00 00", "", "plenty"),
        ("10 00 03 00", "", "near_end"),
        ("1c 00 0f 00", "paper_out", "out"),
        ("38 00 00 00", "cover_open", "plenty"),
        ("18 00 00 00", "offline", "plenty"),
        ("18 08 00 00", "cutter_error", "plenty"),
        ("18 20 00 00", "printer_error", "plenty"),
        ("18 40 00 00", "overheated", "plenty"),
    ],
)
def test_automatic_status(frame: str, obstacle: str, paper: str) -> None:
    assert (automatic(frame).obstacle, automatic(frame).paper) == (obstacle, paper)


def test_a_printer_that_has_said_nothing_is_not_fine() -> None:
    assert not NO_STATUS.known
    assert NO_STATUS.online is None
    assert NO_STATUS.paper == "unknown"
    assert NO_STATUS.conditions == ()
    assert real_time("12").known
    assert real_time("12").paper == "unknown"


@pytest.mark.parametrize(
    ("answer", "level", "is_open"),
    [("16", "high", True), ("16", "low", False), ("12", "high", False), ("12", "low", True), ("12", None, None)],
)
def test_the_drawer_is_open_as_its_polarity_says(answer: str, level, is_open: bool | None) -> None:
    assert real_time(answer).drawer_open(level) is is_open
    assert NO_STATUS.drawer_open(level) is None


MIXED: list[tuple[str, list[Answer]]] = [
    ("12", [RealTime(1, 0x12)]),
    ("10 00 00 00", [AutomaticStatus(b"\x10\0\0\0")]),
    ("0c", [Barrier(0x0C)]),
    ("37 22 41 42 43 44 00", [ProcessId(b"ABCD")]),
    ("11 13", []),
    ("37 22 41 13 42 43 11 44 00", [ProcessId(b"ABCD")]),  # flow control inside a block
    ("10 00 12 00 00", [RealTime(1, 0x12), AutomaticStatus(b"\x10\0\0\0")]),  # a real-time answer inside a frame
    ("5f 41 42 43 00 00", [Barrier(0)]),  # a block that nobody asked for
    ("37 70 40 00", []),
    ("ff 80 12", [RealTime(1, 0x12)]),
]


@pytest.mark.parametrize(("data", "answers"), MIXED)
def test_kinds_of_answers_are_told_apart(data: str, answers: list[Answer]) -> None:
    stream = StatusStream()
    stream.asked(1)
    assert list(stream.feed(bytes.fromhex(data))) == answers


@given(st.lists(st.sampled_from(MIXED), max_size=8), st.data())
def test_answers_do_not_depend_on_how_the_bytes_arrive(pieces: list[tuple[str, list[Answer]]], data) -> None:
    line = b"".join(bytes.fromhex(piece) for piece, _ in pieces)
    whole, cut = StatusStream(), StatusStream()
    for stream in (whole, cut):
        for n in range(1, 9):
            stream.asked(n)
    at = data.draw(st.integers(0, len(line)))
    assert cut.feed(line[:at]) + cut.feed(line[at:]) == whole.feed(line)


@given(st.binary(max_size=400))
def test_garbage_neither_crashes_nor_grows_nor_silences_the_stream(garbage: bytes) -> None:
    stream = StatusStream()
    stream.feed(garbage)
    stream.feed(b"\x00" * 4)  # ends whatever block or frame the garbage had begun
    stream.asked(4)
    answers = stream.feed(b"\x12")
    assert RealTime(4, 0x12) in answers


def test_an_unasked_real_time_answer_is_ignored() -> None:
    assert StatusStream().feed(b"\x12\x1a") == ()
