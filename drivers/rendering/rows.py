"""What is on paper, row by row, before it is drawn. Rule: where a character stands is decided here and nowhere later.

Rows come from a document's layout, or from the bytes that a printer was sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from drivers.document import Document, Line, columns_of, layout

Symbology = Literal["qr", "barcode"]


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one style; in double size each takes twice its columns and the row twice its height.

    `narrow`: from a code page, where every character takes one column.
    """

    text: str
    bold: bool = False
    double: bool = False
    narrow: bool = False

    @property
    def columns(self) -> int:
        """How many columns it takes."""
        return (len(self.text) if self.narrow else columns_of(self.text)) * (2 if self.double else 1)

    def joined(self, other: Run) -> Run | None:
        """Both as one, where the style is the same."""
        return replace(self, text=self.text + other.text) if replace(other, text=self.text) == self else None


@dataclass(frozen=True, slots=True)
class TextRow:
    """Runs from left to right; none is an empty row."""

    runs: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A code in the middle; the text of a line code stands below it."""

    data: str
    symbology: Symbology = "qr"


@dataclass(frozen=True, slots=True)
class CutRow:
    """The paper is cut here."""


@dataclass(frozen=True, slots=True)
class BitmapRow:
    """Dots from the left edge: `width_bytes` bytes a row of dots, the highest bit left, 1 is ink."""

    width_bytes: int
    height: int
    dots: bytes


Row = TextRow | CodeRow | CutRow | BitmapRow


def rows_of(document: Document, columns: int) -> tuple[Row, ...]:
    """The rows of a document, trimmed. Raises DocumentError for paper that is too narrow."""
    return trimmed(row_of(line) for line in layout(document, columns))


def trimmed(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Without the cut at the end and what only moves paper out of the printer; a picture has a margin of its own."""
    kept = list(rows)
    while kept and kept[-1] in (TextRow(), CutRow()):
        kept.pop()
    return tuple(kept)


def wrapped(rows: Iterable[Row], columns: int) -> tuple[Row, ...]:
    """As a printer does it: what does not fit goes on in the next row, in the middle of a word."""
    return tuple(part for row in rows for part in (_split(row, columns) if isinstance(row, TextRow) else [row]))


def row_of(line: Line) -> Row:
    """One line of a layout."""
    match line.kind:
        case "cut":
            return CutRow()
        case "qr" | "barcode":
            return CodeRow(line.text, line.kind)
    runs = (Run(" " * line.indent), Run(line.text, line.bold, line.double))
    return TextRow(tuple(run for run in runs if run.text))


def _split(row: TextRow, columns: int) -> list[TextRow]:
    rows: list[list[Run]] = [[]]
    used = 0
    for run in row.runs:
        for char in run.text:
            one = replace(run, text=char)
            if used + one.columns > columns:
                rows.append([])
                used = 0
            append(rows[-1], one)
            used += one.columns
    return [TextRow(tuple(runs)) for runs in rows]


def append(runs: list[Run], one: Run) -> None:
    """Adds a character to the last run where the style is the same."""
    if runs and (both := runs[-1].joined(one)):
        runs[-1] = both
    else:
        runs.append(one)
