"""Text in the characters that a printer has. Rule: all of it, or nothing and the line is drawn; never a question mark.

Ideographs go out as FS & … FS . in two-byte codes. Printers keep no four-byte ones, and a character without a code in
this model's set has no bytes here. A model without ideographs has signs of currency in its code pages at least.
"""

from __future__ import annotations

import re
from typing import Final

from drivers.printers.profiles import Characters, Profile

KANJI_ON: Final = b"\x1c&"
KANJI_OFF: Final = b"\x1c."
CODECS: Final[dict[Characters, str]] = {
    "gb18030": "gb18030", "big5": "cp950", "shift_jis": "cp932", "cp949": "cp949"
}  # fmt: skip
_RUNS: Final = re.compile(r"[\x00-\x7f]+|[^\x00-\x7f]+")
_SIGNS: Final = {"￥": "¥", "¥": "¥", "￡": "£", "£": "£", "€": "€"}
"""They take two columns like all that is not ASCII; as one character of a code page they stand behind a space."""


def started(profile: Profile) -> bytes:
    """What selects the set once a job: code-page mode, and Shift-JIS among the codes of Japanese models (FS C)."""
    return (b"\x1cC\x01" if profile.characters == "shift_jis" else b"") + KANJI_OFF


def encode(text: str, profile: Profile) -> bytes | None:
    """Text in code-page mode with its runs of ideographs; None where the printer lacks a character of it."""
    if text.isascii():
        return text.encode("ascii")
    parts = [run.encode() if run.isascii() else _beyond_ascii(run, profile) for run in _RUNS.findall(text)]
    known = [part for part in parts if part is not None]
    return b"".join(known) if len(known) == len(parts) else None


def _beyond_ascii(run: str, profile: Profile) -> bytes | None:
    if profile.characters == "none":
        signs = [_sign(char, profile) for char in run]
        return None if None in signs else b"".join(sign for sign in signs if sign)
    codes = [_code(char, CODECS[profile.characters]) for char in run]
    return None if b"" in codes else KANJI_ON + b"".join(codes) + KANJI_OFF


def _code(char: str, codec: str) -> bytes:
    """Its two bytes; b"" where it has none, or only those of a character that looks alike."""
    try:
        code = char.encode(codec)
    except UnicodeEncodeError:
        return b""
    return code if len(code) == 2 and code.decode(codec) == char else b""


def _sign(char: str, profile: Profile) -> bytes | None:
    for codec, number in profile.pages if char in _SIGNS else ():
        try:
            return b" \x1bt" + bytes([number]) + _SIGNS[char].encode(codec)
        except UnicodeEncodeError:
            continue
    return None
