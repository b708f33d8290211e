"""Server-sent events, read piece by piece (WHATWG HTML Living Standard, sections 9.2.5 and 9.2.6).

The one rule: whatever comes, no more is kept than one line and one event of bounded size; what is larger, or comes
faster than news can, is no event stream.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from agent.uplink.answers import Shapeless, event

EVENT_BYTES_MAX: Final = 64 << 10
BYTES_A_WINDOW_MAX: Final = 4 << 20
"""The most that is read of a stream in `WINDOW_S`; the busiest lane needs a hundredth of it."""

WINDOW_S: Final = 60.0


class Garbage(ValueError):
    """What comes is no event stream; the text says why, without its content."""


@dataclass(frozen=True, slots=True)
class PushEvent:
    """`id` is where to go on; it is empty for an event that did not say."""

    id: str
    kind: str
    data: dict[str, Any]


@dataclass(slots=True)
class EventReader:
    """Feed it bytes, get events. `now_s` of `feed` only has to go forward."""

    _line: bytearray = field(default_factory=bytearray)
    _fields: dict[bytes, bytes] = field(default_factory=dict)
    _size: int = 0
    _ends_in_cr: bool = False
    _id: bytes = b""
    _window_began_s: float = 0.0
    _window_bytes: int = 0

    def feed(self, piece: bytes, now_s: float) -> Iterator[PushEvent]:
        """The events that end in this piece; malformed ones are left out. Raises Garbage."""
        if not piece:
            return  # says nothing of how the one before ended
        self._count(len(piece), now_s)
        torn, self._ends_in_cr = self._ends_in_cr and piece[:1] == b"\n", piece[-1:] == b"\r"
        *lines, rest = piece[torn:].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            whole = bytes(self._line + line)
            self._line.clear()
            yield from self._take(whole)
        self._line += rest
        if len(self._line) + self._size > EVENT_BYTES_MAX:
            raise Garbage(f"an event of more than {EVENT_BYTES_MAX} bytes")

    def _count(self, size: int, now_s: float) -> None:
        if now_s - self._window_began_s >= WINDOW_S:
            self._window_began_s, self._window_bytes = now_s, 0
        self._window_bytes += size
        if self._window_bytes > BYTES_A_WINDOW_MAX:
            raise Garbage(f"more than {BYTES_A_WINDOW_MAX} bytes in {WINDOW_S:g} s")

    def _take(self, line: bytes) -> Iterator[PushEvent]:
        if not line:
            yield from self._dispatch()
            return
        name, _, value = line.partition(b":")
        if name not in (b"data", b"event", b"id"):
            return
        self._size += len(line)
        if self._size > EVENT_BYTES_MAX:
            raise Garbage(f"an event of more than {EVENT_BYTES_MAX} bytes")
        before = self._fields[name] + b"\n" if name == b"data" and name in self._fields else b""
        self._fields[name] = before + value.removeprefix(b" ")

    def _dispatch(self) -> Iterator[PushEvent]:
        fields, self._fields, self._size = self._fields, {}, 0
        self._id = fields.get(b"id", self._id)
        if b"data" not in fields:
            return
        try:
            raw = {"id": self._id.decode(), "type": fields.get(b"event", b"").decode(), "data": _json(fields[b"data"])}
            yield push_event(raw)
        except (Shapeless, UnicodeDecodeError):
            return


def push_event(value: object) -> PushEvent:
    """An event of a long poll or a stream. Raises Shapeless."""
    known = event(value)
    return PushEvent(known["id"], known["type"], known["data"])


def _json(data: bytes) -> Any:
    try:
        return json.loads(data, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise Shapeless("it is not JSON") from error
