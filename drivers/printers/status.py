"""What a printer says about itself, out of a mixed byte stream. Rule: what it has not said stays unknown, never "fine".

Four kinds of answers share one line and are told apart by fixed bits (Epson ESC/POS command reference, "Status
transmission"; DLE EOT, GS a, GS r, GS ( H):

    0xx1xx10   answer to DLE EOT n; it does not repeat n, so the stream remembers what was asked
    0xx1xx00   first of four bytes of automatic status back (ASB); the other three are 0xx0xxxx
    0xx0xxxx   answer to GS r 1
    37 22 … 00 echo of a process id; other blocks begin 37 xx, 3D, 53 or 5F and end with 00, and are skipped
    11, 13     XON, XOFF
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

Paper = Literal["plenty", "near_end", "out", "unknown"]
Fault = Literal["none", "cutter_error", "overheated", "printer_error"]

_BARRIER_RESERVED = 0x60
_XON_XOFF = (0x11, 0x13)
_BLOCK_HEADS = (0x37, 0x3D, 0x53, 0x5F)
_BLOCK_BYTES_MAX = 90
"""A block is a header, an identifier, at most 80 data bytes and NUL (GS ( C)."""


@dataclass(frozen=True, slots=True)
class PrinterStatus:
    """What is known; None and "unknown" mean that the printer has not said."""

    online: bool | None = None
    cover_open: bool | None = None
    paper: Paper = "unknown"
    fault: Fault | None = None
    drawer_pin_high: bool | None = None

    @property
    def known(self) -> bool:
        """Whether the printer has said anything at all."""
        return self != NO_STATUS

    @property
    def obstacle(self) -> str:
        """Why it cannot print, as an id of `drivers.remedies`; "" when it has named nothing. The cause comes first."""
        if self.cover_open:
            return "cover_open"
        if self.paper == "out":
            return "paper_out"
        if self.fault not in (None, "none"):
            return self.fault
        return "offline" if self.online is False else ""

    @property
    def conditions(self) -> tuple[str, ...]:
        """Everything a person should hear of: the obstacle, or paper near its end."""
        found = self.obstacle or ("paper_near_end" if self.paper == "near_end" else "")
        return (found,) if found else ()

    def drawer_open(self, open_level: Literal["high", "low"] | None) -> bool | None:
        """Whether the drawer is open, for a drawer whose pin has that level when open; None when unknown."""
        if self.drawer_pin_high is None or open_level is None:
            return None
        return self.drawer_pin_high == (open_level == "high")


NO_STATUS = PrinterStatus()


@dataclass(frozen=True, slots=True)
class RealTime:
    """The answer to DLE EOT n."""

    n: int
    byte: int


@dataclass(frozen=True, slots=True)
class AutomaticStatus:
    """Four bytes of ASB."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Barrier:
    """The answer to GS r 1: everything sent before it has been processed."""

    byte: int


@dataclass(frozen=True, slots=True)
class ProcessId:
    """The echo of GS ( H: everything sent before this id has been printed."""

    process_id: bytes


Answer = RealTime | AutomaticStatus | Barrier | ProcessId


class StatusStream:
    """Splits the stream; the same answers come out however the bytes were cut up. Garbage is skipped, never kept.

    `stray_count` is the number of bytes that no printer sends there: a few are noise, many are not a printer at all.
    """

    def __init__(self) -> None:
        self.stray_count = 0
        self._asked: deque[int] = deque(maxlen=16)
        self._frame = bytearray()
        self._block = bytearray()

    def asked(self, n: int) -> None:
        """Notes that DLE EOT n went out."""
        self._asked.append(n)

    def forget_questions(self) -> None:
        """Nothing that was asked is waited for any longer; what was begun is dropped."""
        for pending in (self._asked, self._frame, self._block):
            pending.clear()

    def feed(self, data: bytes) -> tuple[Answer, ...]:
        """The answers that these bytes complete."""
        return tuple(answer for byte in data if (answer := self._take(byte)) is not None)

    def _take(self, byte: int) -> Answer | None:
        if byte in _XON_XOFF:
            return None
        if self._block or byte in _BLOCK_HEADS:
            return self._take_block(byte)
        if byte & 0x93 == 0x12:
            return self._take_real_time(byte)
        if byte & 0x93 == 0x10:
            self.stray_count += bool(self._frame)
            self._frame[:] = (byte,)
            return None
        if byte & 0x90:
            self.stray_count += 1
            return None
        return self._take_frame(byte) if self._frame else self._take_barrier(byte)

    def _take_real_time(self, byte: int) -> Answer | None:
        if self._asked:
            return RealTime(self._asked.popleft(), byte)
        self.stray_count += 1
        return None

    def _take_barrier(self, byte: int) -> Answer:
        self.stray_count += bool(byte & _BARRIER_RESERVED)  # a letter, most often; some clones set these bits
        return Barrier(byte)

    def _take_frame(self, byte: int) -> Answer | None:
        self._frame.append(byte)
        if len(self._frame) < 4:
            return None
        frame = bytes(self._frame)
        self._frame.clear()
        return AutomaticStatus(frame)

    def _take_block(self, byte: int) -> Answer | None:
        self._block.append(byte)
        if byte and len(self._block) < _BLOCK_BYTES_MAX:
            return None
        block = bytes(self._block)
        self._block.clear()
        return ProcessId(block[2:6]) if block[:2] == b"\x37\x22" and len(block) == 7 else None


def after(status: PrinterStatus, answer: Answer) -> PrinterStatus:
    """The status once an answer has been heard."""
    match answer:
        case RealTime():
            return _after_real_time(status, answer.n, answer.byte)
        case AutomaticStatus():
            return _after_automatic(status, answer.frame)
        case Barrier():
            return replace(status, paper=_paper(bool(answer.byte & 0x03), bool(answer.byte & 0x0C)))
        case ProcessId():
            return status


def _after_real_time(status: PrinterStatus, n: int, byte: int) -> PrinterStatus:
    match n:
        case 1:
            return replace(status, online=not byte & 0x08, drawer_pin_high=bool(byte & 0x04))
        case 2:
            # Bit 5 says that printing has stopped for paper, before the roll sensor of n=4 is asked.
            paper: Paper = "out" if byte & 0x20 else status.paper
            return replace(status, cover_open=bool(byte & 0x04), paper=paper)
        case 3:
            return replace(status, fault=_fault(bool(byte & 0x08), bool(byte & 0x24), bool(byte & 0x40)))
        case 4:
            return replace(status, paper=_paper(bool(byte & 0x0C), bool(byte & 0x60)))
    return status


def _after_automatic(status: PrinterStatus, frame: bytes) -> PrinterStatus:
    first, errors, sensors = frame[0], frame[1], frame[2]
    return replace(
        status,
        online=not first & 0x08,
        cover_open=bool(first & 0x20),
        drawer_pin_high=bool(first & 0x04),
        fault=_fault(bool(errors & 0x08), bool(errors & 0x24), bool(errors & 0x40)),
        paper=_paper(bool(sensors & 0x03), bool(sensors & 0x0C)),
    )


def _paper(near_end: bool, out: bool) -> Paper:
    return "out" if out else "near_end" if near_end else "plenty"


def _fault(cutter: bool, other: bool, hot: bool) -> Fault:
    return "cutter_error" if cutter else "printer_error" if other else "overheated" if hot else "none"
