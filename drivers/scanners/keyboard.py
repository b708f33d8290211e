"""What the keys of a scanner's keyboard write. Rule: each device has a decoder of its own, so no two mix their keys.

The layouts are data (`keyboard_layouts.json`); the set-up of the screen plays no part. Control characters come as a
scanner sends them: Ctrl with a letter or bracket (GS is Ctrl+]), or Alt with digits on the keypad.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from drivers.errors import OptionError

LAYOUTS: Final = ("us", "uk", "de", "fr", "es")

_ENTER, _KEYPAD_ENTER, _TAB, _SPACE, _CAPS = 28, 96, 15, 57, 58
_CTRL, _SHIFT, _ALT, _ALTGR = (29, 97), (42, 54), 56, 100
_BRACKET_OF_US = 27
"""The key right of P: many scanners press it with Ctrl for GS whatever layout they were set to."""
_ALWAYS: Final = {_ENTER: "\r", _KEYPAD_ENTER: "\r", _TAB: "\t", _SPACE: " ", 1: "\x1b", 14: "\b"}
_KEYPAD: Final = dict(zip((82, 79, 80, 81, 75, 76, 77, 71, 72, 73), "0123456789", strict=True)) | {
    83: ".", 98: "/", 55: "*", 74: "-", 78: "+"
}  # fmt: skip
_DEAD: Final = {"^": "\u0302", "´": "\u0301", "`": "\u0300", "¨": "\u0308", "~": "\u0303"}
_ALT_DIGITS_MAX = 7
_DOWN, _UP = 1, 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Key code → character on each of the levels plain, shift, altgr; and which of these wait for the next key."""

    levels: tuple[dict[int, str], dict[int, str], dict[int, str]]
    dead: tuple[frozenset[str], frozenset[str], frozenset[str]]


@cache
def layout_named(name: str) -> Layout:
    """Raises OptionError for a layout that is not in the table."""
    if name not in LAYOUTS:
        raise OptionError(f"no keyboard layout {name!r}; there are {', '.join(LAYOUTS)}")
    table = json.loads(Path(__file__).with_name("keyboard_layouts.json").read_text(encoding="utf-8"))
    keys = [code for row in table["rows"] for code in row]
    data = table["layouts"][name]
    plain, shift = (dict(zip(keys, "".join(data[level]), strict=True)) for level in ("plain", "shift"))
    altgr = {code: data["altgr"][text] for code, text in plain.items() if text in data["altgr"]}
    dead = {level: frozenset(data["dead"].get(level, "")) for level in ("plain", "shift", "altgr")}
    return Layout(
        (plain, {code: text for code, text in shift.items() if text != "\0"}, altgr),
        (dead["plain"], dead["shift"], dead["altgr"]),
    )


class Keyboard:
    """Keys in, text out. `press` takes what the kernel tells of each key: its code, and 1 down, 0 up, 2 repeated."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._held: set[int] = set()
        self._caps = False
        self._waiting = ""
        self._alt_digits = ""

    def press(self, code: int, value: int) -> str:
        """The text that this makes; a key that repeats because it is held writes nothing more."""
        if value == _UP:
            self._held.discard(code)
            return self._numbered() if code == _ALT else ""
        if value != _DOWN:
            return ""
        self._held.add(code)
        if code == _CAPS:
            self._caps = not self._caps
        if _ALT in self._held and code in _KEYPAD:
            self._alt_digits = (self._alt_digits + _KEYPAD[code])[:_ALT_DIGITS_MAX]
            return ""
        return self._composed(code)

    def forget(self) -> None:
        """Keys were lost: what was held and half done is not known any more."""
        self._held.clear()
        self._waiting = self._alt_digits = ""

    def _composed(self, code: int) -> str:
        text, is_dead = self._written(code)
        if not text:
            return ""
        accent, self._waiting = self._waiting, text if is_dead else ""
        if is_dead:
            return accent
        if not accent:
            return text
        if text == " ":
            return accent
        whole = unicodedata.normalize("NFC", text + _DEAD[accent])
        return whole if len(whole) == 1 else accent + text

    def _written(self, code: int) -> tuple[str, bool]:
        if code in _ALWAYS:
            return _ALWAYS[code], False
        if code in _KEYPAD:
            return _KEYPAD[code], False
        ctrl, shift = (not self._held.isdisjoint(pair) for pair in (_CTRL, _SHIFT))
        altgr = _ALTGR in self._held or (ctrl and _ALT in self._held)  # Ctrl with Alt is AltGr, as on Windows
        level = 2 if altgr else int(shift)
        text = self._layout.levels[level].get(code, "")
        if ctrl and not (altgr and text):
            return self._control(code, text), False
        if self._caps and text.isalpha():
            text = text.swapcase() if len(text.swapcase()) == 1 else text
        return text, text in self._layout.dead[level]

    def _control(self, code: int, text: str) -> str:
        upper = text.upper()
        if len(upper) == 1 and "@" <= upper <= "_":
            return chr(ord(upper) - 0x40)
        return "\x1d" if code == _BRACKET_OF_US else ""

    def _numbered(self) -> str:
        """Alt with keypad digits: Windows' own code page after a leading 0, the IBM PC's without, above 255 Unicode."""
        digits, self._alt_digits = self._alt_digits, ""
        if not digits.isdecimal():
            return ""
        number = int(digits)
        if number < 0x80:
            return chr(number)
        if number > 0xFF:
            return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else ""
        return bytes([number]).decode("cp1252" if digits.startswith("0") else "cp437", "replace")
