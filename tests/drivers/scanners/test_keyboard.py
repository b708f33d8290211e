"""What a typing scanner's keys write, in every layout, compared with the keyboard tables of X (libxkbcommon).

Codes: 30 is the key right of Caps Lock, 42 the left Shift, 29 Ctrl, 56 Alt, 100 AltGr, 57 the space bar.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator

import pytest

from drivers.scanners.keyboard import LAYOUTS, Keyboard, layout_named

SHIFT, CTRL, ALT, ALTGR, CAPS, SPACE = 42, 29, 56, 100, 58, 57
KEYPAD = dict(zip("0123456789", (82, 79, 80, 81, 75, 76, 77, 71, 72, 73), strict=True))


def typed(*keys: int | tuple[int, ...], layout: str = "us") -> str:
    """A number is a key pressed and released, a group is pressed together: (42, 30) is Shift with a."""
    keyboard = Keyboard(layout_named(layout))
    text = ""
    for group in keys:
        pressed = group if isinstance(group, tuple) else (group,)
        text += "".join(keyboard.press(code, 1) for code in pressed)
        text += "".join(keyboard.press(code, 0) for code in reversed(pressed))
    return text


@pytest.mark.parametrize(
    ("keys", "layout", "text"),
    [
        ([30, (SHIFT, 30)], "us", "aA"),
        ([2, (SHIFT, 2), 53, (SHIFT, 53)], "us", "1!/?"),
        ([16, 30, (SHIFT, 2)], "fr", "aq1"),
        ([21, 44, (ALTGR, 16), (ALTGR, 9)], "de", "zy@["),
        ([(CTRL, ALT, 16)], "de", "@"),  # Ctrl with Alt is AltGr
        ([(SHIFT, 3)], "uk", '"'),
        ([39, (ALTGR, 3)], "es", "ñ@"),
        ([CAPS, 30, 2, CAPS, 30], "us", "A1a"),
        ([28], "us", "\r"),
        ([96], "us", "\r"),
        ([15], "us", "\t"),
        ([KEYPAD[digit] for digit in "0123456789"], "us", "0123456789"),
    ],
)
def test_keys_write_what_the_layout_says(keys: list[int | tuple[int, ...]], layout: str, text: str) -> None:
    assert typed(*keys, layout=layout) == text


@pytest.mark.parametrize(
    ("keys", "layout", "text"),
    [
        ([13, 18], "de", "é"),
        ([41, SPACE], "de", "^"),
        ([41, 30], "de", "â"),
        ([(SHIFT, 13), 30], "de", "à"),
        ([26, 18], "fr", "ê"),
        ([(SHIFT, 26), 23], "fr", "ï"),
        ([(ALTGR, 5), 49], "es", "ñ"),
        ([41, 2], "de", "^1"),  # no such letter: both are meant
        ([41, 41, SPACE], "de", "^^"),
    ],
)
def test_a_key_that_waits_for_the_next_one(keys: list[int | tuple[int, ...]], layout: str, text: str) -> None:
    assert typed(*keys, layout=layout) == text


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gs_is_ctrl_with_the_bracket_key_in_every_layout(layout: str) -> None:
    assert typed((CTRL, 27), layout=layout) == "\x1d"


def test_control_characters_come_as_ctrl_with_a_letter() -> None:
    assert typed((CTRL, 48), (CTRL, 46), (CTRL, 50), (CTRL, 36)) == "\x02\x03\r\n"
    assert typed((CTRL, ALTGR, 10), layout="de") == "]"


@pytest.mark.parametrize(
    ("digits", "text"),
    [
        ("65", "A"),
        ("029", "\x1d"),
        ("0228", "ä"),
        ("132", "ä"),
        ("0128", "€"),
        ("21512", "合"),
        ("9999999", ""),
        ("", ""),
    ],
)
def test_alt_with_digits_on_the_keypad_is_a_character_by_its_number(digits: str, text: str) -> None:
    assert typed((ALT, *(KEYPAD[digit] for digit in digits))) == text


def test_a_key_that_is_held_writes_once_and_a_digit_pressed_twice_writes_twice() -> None:
    keyboard = Keyboard(layout_named("us"))
    assert "".join(keyboard.press(5, value) for value in (1, 2, 2, 2, 0, 1, 0)) == "44"


def test_two_keyboards_share_nothing() -> None:
    left, right = Keyboard(layout_named("us")), Keyboard(layout_named("us"))
    left.press(SHIFT, 1)
    assert (right.press(30, 1), left.press(30, 1)) == ("a", "A")


# -- against the tables of X ------------------------------------------------------------------------------------------

DEAD_KEYSYMS = {0xFE50: "`", 0xFE51: "´", 0xFE52: "^", 0xFE53: "~", 0xFE57: "¨"}
X_NAMES = {"uk": "gb"}
WINDOWS = {("us", 86, 0), ("us", 86, 1), ("uk", 41, 2)}
"""Layout, key, level where Windows, for which scanners are made, and X do not agree."""


def xkb() -> ctypes.CDLL:
    name = ctypes.util.find_library("xkbcommon")
    if name is None:
        pytest.skip("libxkbcommon is not installed: `make services` does")
    library = ctypes.CDLL(name)
    for function in ("xkb_context_new", "xkb_keymap_new_from_names"):
        getattr(library, function).restype = ctypes.c_void_p
    return library


class Names(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in ("rules", "model", "layout", "variant", "options")]


def x_table(library: ctypes.CDLL, layout: str) -> Iterator[tuple[int, int, str, bool]]:
    """Key code, level, what it writes, whether it waits; only keys that write."""
    context = ctypes.c_void_p(library.xkb_context_new(0))
    names = Names(b"evdev", b"pc105", X_NAMES.get(layout, layout).encode(), None, None)
    keymap = ctypes.c_void_p(library.xkb_keymap_new_from_names(context, ctypes.byref(names), 0))
    if not keymap:
        pytest.skip("xkb-data is not installed: `make services` does")
    for code in {*layout_named(layout).levels[0]}:
        for level in range(3):
            found = ctypes.POINTER(ctypes.c_uint32)()
            count = library.xkb_keymap_key_get_syms_by_level(keymap, code + 8, 0, level, ctypes.byref(found))
            if count == 1:
                symbol = found[0]
                text = DEAD_KEYSYMS.get(symbol) or chr(library.xkb_keysym_to_utf32(symbol))
                if text != "\0":
                    yield code, level, text, symbol in DEAD_KEYSYMS


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layouts_agree_with_those_of_x_on_every_character_of_ascii(layout: str) -> None:
    ours, wrong, compared = layout_named(layout), [], 0
    for code, level, text, _ in x_table(xkb(), layout):
        mine = ours.levels[level].get(code)
        if mine is None or (not text.isascii() and level == 2) or (layout, code, level) in WINDOWS:
            continue
        compared += 1
        if mine != text:
            wrong.append((code, level, mine, text))
    assert compared >= 90
    assert wrong == []
