"""What an ESC/POS byte stream puts on paper. Rule: shares no line with the renderer, so that each can catch the other.

Reads like a Chinese printer: starts in Kanji mode, so that high bytes outside FS & … FS . come out as the garbage that
a shop would see. A command that it does not know appears on the slip as `[?1d 99]`. Alignment is not followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from drivers.rendering.rows import BitmapRow, CodeRow, Row, Run, TextRow, append
from drivers.virtual.needles import Struck

# Length of the parameters behind each two-byte command that is skipped.
_SKIPPED = {
    b"\x1b!": 1, b"\x1bE": 1, b"\x1ba": 1, b"\x1bR": 1, b"\x1bt": 1, b"\x1b-": 1, b"\x1bM": 1, b"\x1b{": 1, b"\x1b3": 1,
    b"\x1b2": 0, b"\x1d!": 1, b"\x1dB": 1, b"\x1db": 1, b"\x1cC": 1, b"\x1c!": 1, b"\x1cW": 1,
    b"\x1dh": 1, b"\x1dw": 1, b"\x1dH": 1,
}  # fmt: skip
# Length of each two-byte command that does something, with its parameters.
_ACTIONS = {b"\x1bJ": 3, b"\x1bd": 3, b"\x1dr": 3, b"\x1da": 3, b"\x1bp": 5, b"\x1bB": 4, b"\x1dV": 3}
# n of ESC t → the code page that printers most often have there.
_PAGES = {0: "cp437", 2: "cp850", 16: "cp1252", 19: "cp858"}
_LINE_CODE = 73
_CODE_STORE = b"1P0"
_CODE_PRINT = b"1Q0"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the printer answers or does when it comes to it.

    `argument` is the process id, the n of GS a, the m of ESC p, or how often it beeps.
    """

    kind: Literal["paper", "process_id", "automatic", "drawer", "beep"]
    argument: bytes = b""


@dataclass(frozen=True, slots=True)
class CutOff:
    """The paper was cut: what can be read on the slip, the bytes that made it, and its rows as they look."""

    text: str
    raw: bytes
    rows: tuple[Row, ...] = ()


@dataclass(slots=True)
class PaperReader:
    """Feeds on bytes; `text` and `raw` are what has been printed since the last cut.

    `encoding`: Python's name for the codes of its ideographs.
    """

    text: str = ""
    raw: bytes = b""
    encoding: str = "gb18030"
    _kanji: bool = True
    _page: str = "cp437"
    _bold: bool = False
    _double: bool = False
    _waiting: bytes = b""
    _code: str = ""
    _rows: list[Row] = field(default_factory=list)
    _runs: list[Run] = field(default_factory=list)
    _drawn: CodeRow | None = None
    _struck: Struck = field(default_factory=Struck)
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
        slip = self._slip()
        self._waiting = b""
        self._reset()
        return slip

    def _take(self, data: bytes) -> int:
        """Handles one command or character at the front; returns its length, 0 when its rest has not come yet."""
        if data[0] not in b"\x1b\x1c\x1d":
            return self._take_character(data)
        head = data[:2]
        if len(head) < 2:
            return 0
        if head in (b"\x1d(", b"\x1b("):
            return self._take_function(data)
        if head == b"\x1dv":
            return self._take_picture(data)
        if head == b"\x1b*":
            return self._take_strikes(data)
        if head == b"\x1dk":
            return self._take_line_code(data)
        if head in (b"\x1c&", b"\x1c.", b"\x1b@"):
            if head == b"\x1b@":
                self._reset()
            self._kanji = head != b"\x1c."
            return 2
        if head in _SKIPPED:
            if len(data) < 2 + _SKIPPED[head]:
                return 0
            self._style(data[:3])
            return 2 + _SKIPPED[head]
        return self._take_action(head, data)

    def _take_action(self, head: bytes, data: bytes) -> int:
        length = _ACTIONS.get(head, 2) + (head == b"\x1dV" and data[2:3] >= b"A")
        if len(data) < length:
            return 0
        match head:
            case b"\x1bJ":
                self._struck.feed(data[2])
            case b"\x1bd":
                self._print("\n" * data[2])
            case b"\x1dr":
                self._events.append(Asked("paper"))
            case b"\x1da":
                self._events.append(Asked("automatic", data[2:3]))
            case b"\x1bp":
                self._events.append(Asked("drawer", data[2:3]))
            case b"\x1bB":
                self._events.append(Asked("beep", data[2:3]))
            case b"\x1dV":
                self._cut(data[:length])
            case _:
                self._print(f"[?{head.hex(' ')}]")
        return length

    def _take_picture(self, data: bytes) -> int:
        """GS v 0: the paper moves on behind it without a line feed."""
        if len(data) < 8:
            return 0
        width_bytes, height = int.from_bytes(data[4:6], "little"), int.from_bytes(data[6:8], "little")
        length = 8 + width_bytes * height
        if len(data) < length:
            return 0
        if self._runs or self._drawn:
            self._end_row()
        self.text += f"[PICTURE {8 * width_bytes}x{height}]\n"
        self._rows.append(BitmapRow(width_bytes, height, data[8:length]))
        return length

    def _take_strikes(self, data: bytes) -> int:
        """ESC * 1 nL nH: a pass of needles over the paper where it stands."""
        length = 5 + int.from_bytes(data[3:5], "little")
        if len(data) < max(length, 5):
            return 0
        if data[2] == 1:
            self._struck.strike(data[5:length])
        else:
            self._print(f"[?{data[:3].hex(' ')}]")
        return length

    def _end_picture(self) -> None:
        if (picture := self._struck.taken()) is not None:
            self.text += f"[PICTURE {8 * picture.width_bytes}x{picture.height}]\n"
            self._rows.append(picture)

    def _take_line_code(self, data: bytes) -> int:
        """GS k m n d1 … dn of Code 128, in code set B."""
        if len(data) < 4 or len(data) < 4 + data[3]:
            return 0
        length = 4 + data[3]
        if data[2] != _LINE_CODE:
            self._print(f"[?{data[:3].hex(' ')}]")
            return length
        code = data[4:length].removeprefix(b"{B").replace(b"{{", b"{").decode("ascii", "replace")
        self.text += f"[BARCODE: {code}]"
        self._drawn = CodeRow(code, "barcode")
        return length

    def _cut(self, command: bytes) -> None:
        self.raw += command
        self._events.append(self._slip())

    def _take_function(self, data: bytes) -> int:
        length = 5 + int.from_bytes(data[3:5], "little")
        if len(data) < max(length, 5):
            return 0
        kind, body = data[2:3], data[5:length]
        if kind == b"k" and body.startswith(_CODE_STORE):
            self._code = body[len(_CODE_STORE) :].decode("utf-8", "replace")
        elif kind == b"k" and body == _CODE_PRINT:
            self.text += f"[QR: {self._code}]"
            self._drawn = CodeRow(self._code)
        elif kind == b"H" and body[:2] == b"00":
            self._events.append(Asked("process_id", body[2:6]))
        elif kind == b"A" and body[:1] == b"a":
            self._events.append(Asked("beep", body[2:3]))
        elif kind not in (b"k", b"H"):
            self._print(f"[?{data[:3].hex(' ')}]")
        return length

    def _take_character(self, data: bytes) -> int:
        if not self._kanji or data[0] < 0x80:
            self._print(data[:1].decode(self._page), narrow=data[0] >= 0x80)
            return 1
        if len(data) < 2:
            return 0
        four = self.encoding == "gb18030" and 0x30 <= data[1] <= 0x39  # a digit in second place makes four bytes
        size = 4 if four else 2
        if len(data) < size:
            return 0
        self._print(data[:size].decode(self.encoding, "replace"))
        return size

    def _print(self, text: str, *, narrow: bool = False) -> None:
        self._end_picture()
        self.text += text
        for char in text:
            if char == "\n":
                self._end_row()
            else:
                self._add(Run(char, self._bold, self._double, narrow))

    def _add(self, one: Run) -> None:
        if self._drawn:
            self._end_row()
        append(self._runs, one)

    def _end_row(self) -> None:
        self._rows.append(self._drawn or TextRow(tuple(self._runs)))
        self._drawn = None
        self._runs.clear()

    def _style(self, command: bytes) -> None:
        n = command[-1]
        match command[:2]:
            case b"\x1bt":
                self._page = _PAGES.get(n, "cp437")
            case b"\x1bE":
                self._bold = bool(n & 1)
            case b"\x1d!":
                self._double = n == 0x11
            case b"\x1b!":
                self._bold, self._double = bool(n & 0x08), n & 0x30 == 0x30

    def _reset(self) -> None:
        self._kanji, self._bold, self._double, self._page = True, False, False, "cp437"

    def _slip(self) -> CutOff:
        """What is on the paper; the next slip begins."""
        self._end_picture()
        if self._runs or self._drawn:
            self._end_row()
        slip = CutOff(self.text.strip("\n"), self.raw, tuple(self._rows))
        self.text, self.raw = "", b""
        self._rows.clear()
        return slip
