"""Codes out of a scanner's byte stream. Rule: the same bytes give the same codes however they are cut up.

Scanners end a code with a suffix set at their factory or by a setting code; one without a suffix is framed by the pause
after the code. Control bytes between codes are noise, except GS (1D), which is FNC1 and belongs to a GS1 code. Memory
is bounded by the longest code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from drivers.errors import OptionError

Suffix = Literal["cr", "lf", "crlf", "tab", "etx", "timeout"]

SUFFIX_BYTES: dict[str, bytes] = {
    "cr": b"\r", "lf": b"\n", "crlf": b"\r\n", "tab": b"\t", "etx": b"\x03", "timeout": b""
}  # fmt: skip
CODE_BYTES_MAX = 4096
_STX, _ETX = 0x02, b"\x03"
_NOISE = bytes(set(range(0x20)) - {0x1D}) + b"\x7f"
_LINE_ENDS = b"\r\n\x03"
"""What is left of a longer suffix than the one that was set, such as CR LF read as LF."""
_AIM = re.compile(rb"\][A-Za-z][0-9A-Za-z]")
"""Symbology identifier: ], code character, modifier (ISO/IEC 15424)."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How a scanner marks its codes; `pause_s` ends a code without suffix and drops an unfinished one with suffix."""

    suffix: Suffix = "cr"
    aim_prefix: bool = True
    code_bytes_max: int = CODE_BYTES_MAX
    pause_s: float = 0.0

    def __post_init__(self) -> None:
        if self.suffix not in SUFFIX_BYTES:
            raise OptionError(f"no suffix {self.suffix!r}; there are {', '.join(SUFFIX_BYTES)}")
        if not 1 <= self.code_bytes_max <= CODE_BYTES_MAX:
            raise OptionError(f"code_bytes_max must be 1 to {CODE_BYTES_MAX}, not {self.code_bytes_max}")
        if not 0 <= self.pause_s <= 10:
            raise OptionError(f"pause_s must be 0 (standard) to 10, not {self.pause_s}")

    @property
    def pause_or_standard_s(self) -> float:
        """The pause: at 9600 baud a byte takes 1 ms, so 50 ms end a code; half a code is given up after 1 s."""
        return self.pause_s or (1.0 if SUFFIX_BYTES[self.suffix] else 0.05)


@dataclass(frozen=True, slots=True)
class Code:
    """One code: its bytes without prefix and suffix, and its AIM id (`]Q3`) where the scanner sent one."""

    raw: bytes
    symbology: str | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Bytes that made no code; the reason is an id of `drivers.remedies`."""

    reason: Literal["overlong", "unterminated", "keys_lost"]


Frame = Code | Dropped


class Framer:
    """The stream of one scanner. Each scanner has its own: two that share one would mix their digits."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._suffix = SUFFIX_BYTES[framing.suffix]
        self._held = bytearray()
        self._dropping = False

    @property
    def pause_s(self) -> float:
        """After so long without a byte, `pause` is to be called."""
        return self._framing.pause_or_standard_s

    @property
    def held_bytes(self) -> int:
        """How much of an unfinished code is held; never above the longest code and its suffix."""
        return len(self._held)

    def feed(self, data: bytes) -> tuple[Frame, ...]:
        """The codes that these bytes complete."""
        return tuple(frame for byte in data if (frame := self._take(byte)) is not None)

    def pause(self) -> tuple[Frame, ...]:
        """To be called when nothing came for the pause: ends a code without suffix, drops half a code with one."""
        held, dropping = bytes(self._held), self._dropping
        self._held.clear()
        self._dropping = False
        if dropping or not held:
            return ()
        if self._suffix:
            return (Dropped("unterminated"),)
        code = self._code(held)
        return (code,) if code else ()

    def drop(self) -> None:
        """A part of the code that is coming was lost: no code before the next suffix or pause."""
        self._held.clear()
        self._dropping = True

    def _take(self, byte: int) -> Frame | None:
        if byte == _STX and self._suffix == _ETX:  # a code begins here, whatever came before
            self._held.clear()
            self._dropping = False
            return None
        self._held.append(byte)
        if self._suffix and self._held.endswith(self._suffix):
            return self._end()
        if self._dropping:
            self._forget()
            return None
        if len(self._held) == 1 and byte in _NOISE:
            self._held.clear()
        return self._overlong() if len(self._held) > self._framing.code_bytes_max + len(self._suffix) else None

    def _end(self) -> Frame | None:
        held, dropping = bytes(self._held[: -len(self._suffix)]), self._dropping
        self._held.clear()
        self._dropping = False
        if dropping:
            return None
        return Dropped("overlong") if len(held) > self._framing.code_bytes_max else self._code(held)

    def _forget(self) -> None:
        del self._held[: -len(self._suffix) or None]  # keeps what may be the first half of the suffix

    def _overlong(self) -> Dropped:
        self._dropping = True
        self._forget()
        return Dropped("overlong")

    def _code(self, held: bytes) -> Code | None:
        data = held.lstrip(_NOISE).rstrip(_LINE_ENDS)
        found = _AIM.match(data) if self._framing.aim_prefix else None
        raw = data[found.end() :] if found else data
        return Code(raw, found.group().decode() if found else None) if raw else None
