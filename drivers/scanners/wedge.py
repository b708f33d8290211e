"""Codes that a scanner types as a keyboard. Rule: keys become bytes here, and bytes become codes as on a serial line.

So suffix, pause, AIM prefix and longest code mean the same on both. Enter is CR, the tabulator TAB; text is UTF-8.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Final

from drivers.errors import OptionError
from drivers.scanners.framing import Dropped, Frame, Framer, Framing
from drivers.scanners.keyboard import Keyboard, layout_named

INPUT_EVENT: Final = struct.Struct("@llHHi")
"""linux/input.h: seconds, microseconds, type, code, value."""
EV_SYN, EV_KEY = 0, 1
SYN_DROPPED: Final = 3
_PAUSE_S: Final = {True: 0.3, False: 0.1}
"""Scanners type a key every 1 to 40 ms: when half a code with suffix is given up, and when one without is whole."""
_GS: Final = b"\x1d"
GS_TEXT_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class WedgeSettings:
    """`layout`: what the scanner was set to type for; `gs_text`: what it types for GS where it cannot type Ctrl+]."""

    layout: str = "us"
    gs_text: str = ""

    def __post_init__(self) -> None:
        layout_named(self.layout)
        if len(self.gs_text) > GS_TEXT_MAX:
            raise OptionError(f"gs_text has at most {GS_TEXT_MAX} characters, not {self.gs_text!r}")


class WedgeStream:
    """Input events of one device, however they are cut up."""

    def __init__(self, settings: WedgeSettings, framing: Framing) -> None:
        self._framer = Framer(framing)
        self._keyboard = Keyboard(layout_named(settings.layout))
        self._gs_text = settings.gs_text.encode()
        self._unread = b""
        self._lost_keys = False
        self.pause_s = framing.pause_s or _PAUSE_S[framing.suffix != "timeout"]

    def feed(self, data: bytes) -> tuple[Frame, ...]:
        """The codes that these events complete."""
        self._unread += data
        whole = len(self._unread) - len(self._unread) % INPUT_EVENT.size
        events, self._unread = self._unread[:whole], self._unread[whole:]
        frames: list[Frame] = []
        for _s, _us, kind, code, value in INPUT_EVENT.iter_unpack(events):
            frames += self._event(kind, code, value)
        return tuple(frames)

    def pause(self) -> tuple[Frame, ...]:
        """No key for a while: ends a code without suffix, gives up half of one with."""
        return self._named(self._framer.pause())

    def _event(self, kind: int, code: int, value: int) -> tuple[Frame, ...]:
        if kind == EV_SYN and code == SYN_DROPPED:
            self._lost_keys = True
            self._keyboard.forget()
            self._framer.drop()
            return (Dropped("keys_lost"),)
        if kind == EV_SYN:  # the report in which keys were lost is over; the code that they belonged to is not
            self._lost_keys = False
        if kind != EV_KEY or self._lost_keys:
            return ()
        return self._named(self._framer.feed(self._keyboard.press(code, value).encode()))

    def _named(self, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
        if not self._gs_text:
            return frames
        return tuple(
            frame if isinstance(frame, Dropped) else replace(frame, raw=frame.raw.replace(self._gs_text, _GS))
            for frame in frames
        )
