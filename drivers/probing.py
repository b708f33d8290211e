"""Finds out how a scanner is set, from the code of any article. Rule: only what was read decides, never a guess.

An article's code carries a check digit, so speed, layout and suffix are right when one comes out whole; at a wrong
speed or layout the next ones are tried, for a speed by another scan.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from drivers.errors import AddressError, TransportError
from drivers.inventory import Node
from drivers.scanners.article import article_in
from drivers.scanners.framing import Code, Framer, Framing, Suffix
from drivers.scanners.keyboard import LAYOUTS
from drivers.scanners.lines import Line, line_to
from drivers.scanners.scanner import CodeStream
from drivers.scanners.wedge import WedgeSettings, WedgeStream
from drivers.transports.transport import Transport

_QUIET_S = 0.3
_POLL_S = 0.1
_READ_BYTES = 4096
_BYTES_MAX = 64 * 1024
_TEXT: Final = re.compile(rb"[\x20-\x7e]{4,}")
SPEEDS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"baud": 115200},
    {"baud": 19200},
    {"baud": 38400},
    {"baud": 57600},
    {"baud": 9600, "data_bits": 7, "parity": "even"},
    {"baud": 9600, "data_bits": 7, "parity": "odd"},
)
"""As scanners leave the factory (9600 8N1), then other speeds, then what scanners built into counters use."""
_SUFFIXES: Final[tuple[Suffix, ...]] = ("crlf", "cr", "lf", "tab", "etx", "timeout")
"""The longer one first: read as CR, a CR LF would leave its LF to the next code."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a scanner is, and the options that read it; `code` is None when no setting gave an article's code."""

    kind: str
    node: Node | None
    options: dict[str, Any]
    code: Code | None


def probe(address: str, wait_s: float, say: Callable[[str], None]) -> Finding:
    """Asks, through `say`, for scans until one is understood or nothing comes for `wait_s`.

    Raises AddressError, TransportError.
    """
    line = line_to(address, {})
    if line.kind == "camera":
        raise AddressError("a camera has nothing to set; `counterfoil scan` shows what it reads")
    kind: str = line.kind
    for number, speed in enumerate(SPEEDS):
        line = line_to(address, dict(speed)) if number else line
        line.transport.open(line.open_s)
        try:
            node = line.node()
            kind = node.kind if node and line.kind == "located" else line.kind
            say(
                "Scan the code of any article …"
                if not number
                else f"No article's code yet; scan it again {_at(speed)}…"
            )
            data = _burst(line.transport, wait_s)
            found = _understood(data, kind, line)
            if found is None and _is_text(data, kind, line):
                say("That is no article's code, but came whole; scan one of an article, such as a packet …")
                found = _understood(_burst(line.transport, wait_s), kind, line)
        finally:
            line.transport.close()
            if line.stand_in is not None:
                line.stand_in.close()
        if found is not None:
            return Finding(kind, node, speed | found[0], found[1])
        if kind != "serial":
            break
    return Finding(kind, node, {}, None)


def _understood(data: bytes, kind: str, line: Line) -> tuple[dict[str, Any], Code] | None:
    if not data:
        raise TransportError("not_scanned")
    for options, stream in _readings(kind, line):
        frames = (*stream.feed(data), *stream.pause())
        codes = [frame for frame in frames if isinstance(frame, Code)]
        if len(codes) == len(frames) == 1 and article_in(codes[0].raw, codes[0].symbology):
            return options, codes[0]
    return None


def _is_text(data: bytes, kind: str, line: Line) -> bool:
    """Whether some setting makes one code of printable signs of it, as a wrong speed hardly ever does."""
    for _, stream in _readings(kind, line):
        frames = (*stream.feed(data), *stream.pause())
        if len(frames) == 1 and isinstance(frames[0], Code) and _TEXT.fullmatch(frames[0].raw):
            return True
    return False


def _readings(kind: str, line: Line) -> Iterator[tuple[dict[str, Any], CodeStream]]:
    if kind == "hidpos":
        yield {}, line.new_stream()
        return
    for suffix in _SUFFIXES:
        framing = Framing(suffix)
        if kind == "serial":
            yield {"suffix": suffix}, Framer(framing)
            continue
        for layout in LAYOUTS:
            yield {"suffix": suffix, "layout": layout}, WedgeStream(WedgeSettings(layout), framing)


def _burst(transport: Transport, wait_s: float) -> bytes:
    """Everything from the first byte to the first pause; b"" when nothing came."""
    data, until_s = b"", time.monotonic() + wait_s
    while time.monotonic() < until_s and len(data) < _BYTES_MAX:
        piece = transport.read(_READ_BYTES, _POLL_S)
        if piece:
            data, until_s = data + piece, time.monotonic() + _QUIET_S
    return data


def _at(speed: dict[str, Any]) -> str:
    parity = {"even": "E", "odd": "O"}.get(speed.get("parity", ""), "N")
    return f"(now at {speed.get('baud', 9600)} {speed.get('data_bits', 8)}{parity}1) "
