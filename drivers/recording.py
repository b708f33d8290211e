"""What a real scanner sent, kept as a file that tests replay. Rule: no pass, card or payment code is kept in clear.

A code that names an article is kept as it is. Of every other code each letter became x and each digit 0 before it was
written, so that its length, framing and timing stay and its content is gone.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from drivers.errors import AddressError, RecordingError
from drivers.scanners.article import article_in
from drivers.scanners.framing import Code, Dropped, Frame, Framer, Framing
from drivers.scanners.hid_descriptor import ScanReport, scan_reports
from drivers.scanners.hidpos import ReportStream
from drivers.scanners.keyboard import layout_named
from drivers.scanners.lines import Line, line_to
from drivers.scanners.scanner import CodeStream
from drivers.scanners.wedge import EV_KEY, INPUT_EVENT, WedgeSettings, WedgeStream
from drivers.transports.hidraw import report_descriptor

FORMAT: Final = 1
_POLL_S = 0.1
_READ_BYTES = 4096
_KEY_X, _KEY_0 = 45, 11
_SIGNS: Final = re.compile(rb"[0-9A-Za-z]")

Kind = Literal["serial", "keyboard", "hidpos"]


_KINDS: Final[dict[str, Kind]] = {"serial": "serial", "keyboard": "keyboard", "hidpos": "hidpos"}


@dataclass(frozen=True, slots=True)
class Piece:
    """What one read gave; `at_ms` since the first."""

    at_ms: int
    data: str


@dataclass(frozen=True, slots=True)
class Recording:
    """One device on one day. `data` is hex; `told` is what replaying gives: [AIM id, hex], or a reason alone."""

    kind: Kind
    model_id: str
    name: str
    source: Literal["device", "emulated"]
    options: dict[str, Any]
    descriptor: str
    pieces: list[Piece] = field(default_factory=list)
    told: list[list[str | None]] = field(default_factory=list)
    format: int = FORMAT

    def to_json(self) -> str:
        """Pieces and codes a line each, for whoever reads the difference."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1)
        return re.sub(
            r"([\[{])\n\s{3,}([^\[\]{}]*?)\n\s+([\]}])", lambda m: m[1] + re.sub(r"\n\s+", " ", m[2]) + m[3], text
        )


def load(path: Path) -> Recording:
    """Raises RecordingError for a file that is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        pieces = [Piece(**piece) for piece in values.pop("pieces")]
        recording = Recording(**values, pieces=pieces)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RecordingError(f"{path} is no recording of a scanner: {error}") from error
    if recording.format != FORMAT:
        raise RecordingError(f"{path} has format {recording.format}, and this program knows {FORMAT}")
    return recording


def replay(recording: Recording) -> list[list[str | None]]:
    """What today's program makes of it."""
    stream = _stream(recording.kind, recording.options, bytes.fromhex(recording.descriptor))
    frames: list[Frame] = []
    before_ms = 0
    for piece in recording.pieces:
        if piece.at_ms - before_ms >= stream.pause_s * 1000:
            frames += stream.pause()
        frames += stream.feed(bytes.fromhex(piece.data))
        before_ms = piece.at_ms
    return [_told(frame) for frame in (*frames, *stream.pause())]


def record(address: str, options: dict[str, Any], count: int, wait_s: float) -> Recording:
    """The next `count` codes of the scanner at an address, or what came within `wait_s` of the last one.

    Raises AddressError (also for a camera, whose pictures are not kept), OptionError, TransportError.
    """
    line = line_to(address, dict(options))
    if line.kind == "camera":
        raise AddressError("a camera's pictures show people, and are not recorded")
    line.transport.open(line.open_s)
    try:
        return _recorded(line, options, count, wait_s)
    finally:
        line.transport.close()
        if line.stand_in is not None:
            line.stand_in.close()


def _recorded(line: Line, options: dict[str, Any], count: int, wait_s: float) -> Recording:
    node = line.node()
    kind = _kind(node.kind if node else line.kind)
    descriptor = report_descriptor(node.path) if node and kind == "hidpos" else b""
    model_id, name = (node.model_id, node.name) if node else ("", "")
    pieces: list[Piece] = []
    for span in _spans(line, count, wait_s):
        pieces += masked(span, kind, options, descriptor)
    found = Recording(kind, model_id, name, "device", options, descriptor.hex(), pieces)
    return replace(found, told=replay(found))


def _kind(kind: str) -> Kind:
    if kind not in _KINDS:
        raise AddressError(f"a {kind} is not recorded")
    return _KINDS[kind]


def _spans(line: Line, count: int, wait_s: float) -> Iterator[list[tuple[int, bytes]]]:
    """The reads that made one code, or made none, as (milliseconds since the start, bytes)."""
    stream, began_s = line.new_stream(), time.monotonic()
    last_s, held, codes = began_s, list[tuple[int, bytes]](), 0
    while codes < count and time.monotonic() - last_s < wait_s:
        data = line.transport.read(_READ_BYTES, min(stream.pause_s, _POLL_S))
        now_s = time.monotonic()
        frames: tuple[Frame, ...] = ()
        if data:
            last_s = now_s
            held.append((round((now_s - began_s) * 1000), data))
            frames = stream.feed(data)
        elif now_s - last_s >= stream.pause_s:
            frames = stream.pause()
        if frames:
            codes += sum(isinstance(frame, Code) for frame in frames)
            yield held
            held = []


def masked(span: list[tuple[int, bytes]], kind: Kind, options: dict[str, Any], descriptor: bytes) -> list[Piece]:
    """The reads of one code: as they are if it names an article and nothing else came with it, else without content."""
    data = b"".join(piece for _, piece in span)
    stream = _stream(kind, options, descriptor)
    frames = (*stream.feed(data), *stream.pause())
    is_article = len(frames) == 1 and isinstance(frames[0], Code) and article_in(frames[0].raw, frames[0].symbology)
    if not is_article:
        data = _without_content(data, kind, options, scan_reports(descriptor), frames)
    pieces, at = [], 0
    for at_ms, piece in span:
        pieces.append(Piece(at_ms, data[at : at + len(piece)].hex()))
        at += len(piece)
    return pieces


def _without_content(
    data: bytes, kind: Kind, options: dict[str, Any], reports: dict[int, ScanReport], frames: tuple[Frame, ...]
) -> bytes:
    if kind == "keyboard":
        return _keys_masked(data, str(options.get("layout", "us")))
    if kind == "hidpos":
        return _reports_masked(data, reports)
    out = _signs_masked(data)
    for frame in frames:  # the AIM identifier is no secret, and belongs to the framing
        if isinstance(frame, Code) and frame.symbology:
            head = frame.symbology.encode()
            at = data.find(head + frame.raw)
            out = out[:at] + head + out[at + len(head) :] if at >= 0 else out
    return out


def _signs_masked(data: bytes) -> bytes:
    """Letters and digits, and every byte beyond ASCII."""
    plain = _SIGNS.sub(lambda sign: b"0" if sign[0].isdigit() else b"x", data)
    return bytes(byte if byte < 0x80 else 0x78 for byte in plain)


def _keys_masked(data: bytes, layout: str) -> bytes:
    """Keys of letters become X, keys of other signs 0; the kernel's scan codes and times go, as they tell the keys."""
    writes = layout_named(layout).levels[0]
    events = []
    for _s, _us, kind, code, value in INPUT_EVENT.iter_unpack(data[: len(data) - len(data) % INPUT_EVENT.size]):
        if kind == EV_KEY:
            code = (_KEY_X if writes[code].isalpha() else _KEY_0) if code in writes else code  # noqa: PLW2901
            events.append(INPUT_EVENT.pack(0, 0, kind, _keypad_masked(code), value))
        else:
            events.append(INPUT_EVENT.pack(0, 0, kind, code, 0))
    return b"".join(events)


def _keypad_masked(code: int) -> int:
    """Alt with digits writes any character: all digits of the keypad become its 0."""
    return 82 if code in (71, 72, 73, 75, 76, 77, 79, 80, 81, 82) else code


def _reports_masked(data: bytes, reports: dict[int, ScanReport]) -> bytes:
    out, at = bytearray(data), 0
    while at < len(out):
        report = reports.get(0) or reports.get(out[at])
        if report is None:
            return bytes(out[:at]) + bytes(len(out) - at)
        start = at + report.data_at // 8
        end = min(start + report.data_bytes, len(out))
        out[start:end] = _signs_masked(bytes(out[start:end]))
        at += report.size_bytes
    return bytes(out)


def _stream(kind: Kind, options: dict[str, Any], descriptor: bytes) -> CodeStream:
    framing = Framing(**{key: value for key, value in options.items() if key in Framing.__dataclass_fields__})
    if kind == "hidpos":
        return ReportStream(scan_reports(descriptor), framing.code_bytes_max)
    if kind == "keyboard":
        wedge = {key: value for key, value in options.items() if key in WedgeSettings.__dataclass_fields__}
        return WedgeStream(WedgeSettings(**wedge), framing)
    return Framer(framing)


def _told(frame: Frame) -> list[str | None]:
    return [frame.reason] if isinstance(frame, Dropped) else [frame.symbology, frame.raw.hex()]
