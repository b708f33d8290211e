"""A scanner that types: text → the input events that a kernel makes of its keys."""

from __future__ import annotations

from drivers.scanners.keyboard import layout_named
from drivers.scanners.wedge import EV_KEY, EV_SYN, INPUT_EVENT

_SHIFT, _CTRL, _ALTGR, _SPACE = 42, 29, 100, 57
_CONTROL = {"\r": 28, "\t": 15}


def event(kind: int, code: int, value: int) -> bytes:
    return INPUT_EVENT.pack(0, 0, kind, code, value)


def pressed(*codes: int) -> bytes:
    """Keys pressed together and released, a report after each, as a keyboard's driver sends them."""
    turns = [(code, 1) for code in codes] + [(code, 0) for code in reversed(codes)]
    return b"".join(event(EV_KEY, code, value) + event(EV_SYN, 0, 0) for code, value in turns)


CTRL_BRACKET = pressed(_CTRL, 27)


def keys_for(text: str, layout: str = "us") -> bytes:
    """The keys that a scanner which was set to this layout presses for a text."""
    return b"".join(_keys(character, layout) for character in text)


def _keys(character: str, layout: str) -> bytes:
    if character in _CONTROL:
        return pressed(_CONTROL[character])
    table = layout_named(layout)
    for level, held in enumerate(((), (_SHIFT,), (_ALTGR,))):
        for code, text in table.levels[level].items():
            if text == character:
                waits = character in table.dead[level]
                return pressed(*held, code) + (pressed(_SPACE) if waits else b"")
    raise ValueError(f"no key of layout {layout} writes {character!r}")
