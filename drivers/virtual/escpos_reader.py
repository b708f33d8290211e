"""What an ESC/POS byte stream puts on paper. Rule: shares no line with the renderer, so that each can catch the other.

Reads like a Chinese printer: starts in Kanji mode, so that high bytes outside FS & … FS . come out as the garbage that
a shop would see. A command that it does not know appears on the slip as `[?1d 99]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# Length of the parameters behind each two-byte command that is skipped.
_SKIPPED = {
    b"\x1b!": 1, b"\x1bE": 1, b"\x1ba": 1, b"\x1bR": 1, b"\x1bt": 1, b"\x1b-": 1, b"\x1bM": 1, b"\x1b{": 1, b"\x1b3": 1,
    b"\x1b2": 0, b"\x1d!": 1, b"\x1dB": 1, b"\x1db": 1, b"\x1cC": 1, b"\x1c!": 1, b"\x1cW": 1,
}  # fmt: skip
# Length of each two-byte command that does something, with its parameters.
_ACTIONS = {b"\x1bd": 3, b"\x1dr": 3, b"\x1da": 3, b"\x1bp": 5, b"\x1dV": 3}
_CODE_STORE = b"1P0"
_CODE_PRINT = b"1Q0"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that the printer answers when it comes to it; `argument` is the process id, or the n of GS a."""

    kind: Literal["paper", "process_id", "automatic"]
    argument: bytes = b""


@dataclass(frozen=True, slots=True)
class CutOff:
    """The paper was cut: what can be read on the slip, and the bytes that made it."""

    text: str
    raw: bytes


@dataclass(slots=True)
class PaperReader:
    """Feeds on bytes; `text` and `raw` are what has been printed since the last cut."""

    text: str = ""
    raw: bytes = b""
    _kanji: bool = True
    _waiting: bytes = b""
    _code: str = ""
    _events: list[Asked | CutOff] = field(default_factory=list)

    def feed(self, data: bytes) -> list[Asked | CutOff]:
        """Prints the bytes; a command or character that is cut in the middle waits for its rest."""
        self._waiting += data
        self._events = []
        while self._waiting and (taken := self._take(self._waiting)):
            self.raw += self._waiting[:taken]
            self._waiting = self._waiting[taken:]
        return self._events

    def tear_off(self) -> CutOff:
        """What is on the paper, as if it had been cut here; the printer starts afresh."""
        slip = CutOff(self.text.strip("\n"), self.raw)
        self.text, self.raw, self._waiting, self._kanji = "", b"", b"", True
        return slip

    def _take(self, data: bytes) -> int:
        """Handles one command or character at the front; returns its length, 0 when its rest has not come yet."""
        if data[0] not in b"\x1b\x1c\x1d":
            return self._take_character(data)
        head = data[:2]
        if len(head) < 2:
            return 0
        if head == b"\x1d(":
            return self._take_function(data)
        if head in (b"\x1c&", b"\x1c.", b"\x1b@"):
            self._kanji = head != b"\x1c."
            return 2
        if head in _SKIPPED:
            return 2 + _SKIPPED[head] if len(data) >= 2 + _SKIPPED[head] else 0
        return self._take_action(head, data)

    def _take_action(self, head: bytes, data: bytes) -> int:
        length = _ACTIONS.get(head, 2) + (head == b"\x1dV" and data[2:3] >= b"A")
        if len(data) < length:
            return 0
        match head:
            case b"\x1bd":
                self.text += "\n" * data[2]
            case b"\x1dr":
                self._events.append(Asked("paper"))
            case b"\x1da":
                self._events.append(Asked("automatic", data[2:3]))
            case b"\x1bp":
                self.text += "[DRAWER]"
            case b"\x1dV":
                self._cut(data[:length])
            case _:
                self.text += f"[?{head.hex(' ')}]"
        return length

    def _cut(self, command: bytes) -> None:
        self._events.append(CutOff(self.text.strip("\n"), self.raw + command))
        self.text, self.raw = "", b""

    def _take_function(self, data: bytes) -> int:
        length = 5 + int.from_bytes(data[3:5], "little")
        if len(data) < max(length, 5):
            return 0
        kind, body = data[2:3], data[5:length]
        if kind == b"k" and body.startswith(_CODE_STORE):
            self._code = body[len(_CODE_STORE) :].decode("utf-8", "replace")
        elif kind == b"k" and body == _CODE_PRINT:
            self.text += f"[QR: {self._code}]"
        elif kind == b"H" and body[:2] == b"00":
            self._events.append(Asked("process_id", body[2:6]))
        elif kind not in (b"k", b"H"):
            self.text += f"[?1d 28 {kind.hex()}]"
        return length

    def _take_character(self, data: bytes) -> int:
        if not self._kanji or data[0] < 0x80:
            self.text += data[:1].decode("cp437")
            return 1
        if len(data) < 2:
            return 0
        size = 4 if 0x30 <= data[1] <= 0x39 else 2  # GB18030: a digit in second place makes four bytes
        if len(data) < size:
            return 0
        self.text += data[:size].decode("gb18030", "replace")
        return size
