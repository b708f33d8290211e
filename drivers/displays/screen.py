"""Rows of text as the bytes of a pole display. Rule: a pure function, and a row that cannot be shown is refused whole.

Commands are those of the ESC/POS displays (Epson DM-D, which most others speak in their "Epson mode"): ESC @, CLR,
US MD1, US $ x y, ESC t n; Chinese ones take FS & and FS . around GB18030 as printers do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from drivers.document import columns_of
from drivers.errors import OptionError, UnprintableError

START: Final = b"\x1b@\x1f\x01\x0c"
"""ESC @, US MD1 (overwrite: a full last row does not scroll the first away), CLR."""
CODE_PAGES: Final = {"ascii": None, "cp437": 0, "cp850": 2, "cp1252": 16, "gb18030": None}
"""Character set → n of ESC t; None: the display needs no page for it."""
_RUNS = re.compile(r"[\x00-\x7f]+|[^\x00-\x7f]+")


@dataclass(frozen=True, slots=True)
class Screen:
    """What a display can show: `columns` (8 to 40), `rows` (1 to 4), `character_set` (a key of `CODE_PAGES`)."""

    columns: int = 20
    rows: int = 2
    character_set: str = "cp437"

    def __post_init__(self) -> None:
        if not (8 <= self.columns <= 40 and 1 <= self.rows <= 4):
            raise OptionError(f"no display of {self.rows} rows of {self.columns} columns")
        if self.character_set not in CODE_PAGES:
            raise OptionError(f"character_set must be one of {', '.join(CODE_PAGES)}, not {self.character_set!r}")


def render(rows: Sequence[str], screen: Screen) -> bytes:
    """The whole screen with these rows, each cut at the display's width. Raises UnprintableError."""
    page = CODE_PAGES[screen.character_set]
    parts = [START, b"" if page is None else b"\x1bt" + bytes([page])]
    for number, row in zip_longest(range(1, screen.rows + 1), rows[: screen.rows], fillvalue=""):
        text = fitted(_in_its_characters(str(row), screen), screen.columns).rstrip()
        if text:
            parts.append(b"\x1f$\x01" + bytes([int(number)]) + _encoded(text, screen.character_set))
    return b"".join(parts)


def fitted(text: str, columns: int) -> str:
    """One row without anything that a display could take for a command; a wide character is never cut in two."""
    kept = ""
    for char in text.replace("\t", " "):
        if unicodedata.category(char) in ("Cc", "Cf", "Cs"):
            continue
        if columns_of(kept + char) > columns:
            break
        kept += char
    return kept


def _in_its_characters(text: str, screen: Screen) -> str:
    # U+00A5 takes four bytes in GB18030; the full-width sign shows, and is two columns wide.
    return text.replace("¥", "￥") if screen.character_set == "gb18030" else text


def _encoded(text: str, character_set: str) -> bytes:
    if character_set == "gb18030":
        return b"".join(run.encode() if run.isascii() else _wide(run) for run in _RUNS.findall(text))
    try:
        return text.encode(character_set)
    except UnicodeEncodeError as error:
        raise UnprintableError(f"{text!r} is not in {character_set}") from error


def _wide(run: str) -> bytes:
    encoded = run.encode("gb18030")
    if len(encoded) != 2 * len(run):  # rare characters take four bytes, which no display has
        raise UnprintableError(f"{run!r} has characters outside the two-byte zone of GB18030")
    return b"\x1c&" + encoded + b"\x1c."
