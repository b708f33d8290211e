"""What is printed, as a value, and where each character goes. Rule: paper, page and archive come from this one layout.

A document is a tuple of blocks. `layout` turns it into lines of a given number of columns; the ESC/POS renderer and the
text preview both start from those lines. Every character outside ASCII takes two columns, because receipt printers draw
all of them from the 24-dot ideograph font (ASCII glyphs are 12 dots wide), `é` and `—` as well as `元`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from drivers.errors import DocumentError

Align = Literal["left", "center", "right"]
Size = Literal["normal", "double"]

COLUMNS_MIN = 16
"""Narrowest paper: in double size a line must still hold a few ideographs."""
QR_BYTES_MAX = 2331
"""Byte capacity of a QR code, version 40, level M (ISO/IEC 18004, table 7)."""
BARCODE_CHARACTERS_MAX = 32
"""What stands below a code in one line of 58 mm paper."""
COPY_BANNER = "COPY / 重印"
TRAINING_BANNER = "TRAINING / 培训"
CODE_NAMES = {"qr": "QR", "barcode": "BARCODE"}
"""Kinds of codes, as a text shows them."""
_WRAPPED_CLOSERS = "，。、；：！？）】》”’％"


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; line breaks in it are kept, long lines are wrapped."""

    text: str
    align: Align = "left"
    bold: bool = False
    size: Size = "normal"
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class Pair:
    """A label and its value: the value ends at the right edge, on a line of its own when both do not fit."""

    left: str
    right: str
    bold: bool = False
    kind: Literal["pair"] = "pair"


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the paper."""

    kind: Literal["rule"] = "rule"


@dataclass(frozen=True, slots=True)
class Qr:
    """A QR code, centred. Raises DocumentError for control characters, which some printers obey even inside a code."""

    data: str
    kind: Literal["qr"] = "qr"

    def __post_init__(self) -> None:
        size = len(self.data.encode("utf-8", "replace"))
        if not 0 < size <= QR_BYTES_MAX:
            raise DocumentError(f"a QR code holds 1 to {QR_BYTES_MAX} bytes, not {size}")
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in self.data):
            raise DocumentError("a QR code holds no control characters")


@dataclass(frozen=True, slots=True)
class Barcode:
    """A Code 128 line code with its text below, centred: 1 to 32 printable ASCII characters, or DocumentError."""

    data: str
    kind: Literal["barcode"] = "barcode"

    def __post_init__(self) -> None:
        if not (0 < len(self.data) <= BARCODE_CHARACTERS_MAX and self.data.isascii() and self.data.isprintable()):
            raise DocumentError(f"a line code holds 1 to {BARCODE_CHARACTERS_MAX} printable ASCII characters")


@dataclass(frozen=True, slots=True)
class Feed:
    """Empty lines, 1 to 20."""

    lines: int = 1
    kind: Literal["feed"] = "feed"

    def __post_init__(self) -> None:
        if not 1 <= self.lines <= 20:
            raise DocumentError(f"a feed is 1 to 20 lines, not {self.lines}")


@dataclass(frozen=True, slots=True)
class Banner:
    """A word that nobody may overlook: COPY / 重印, TRAINING / 培训."""

    text: str
    kind: Literal["banner"] = "banner"


@dataclass(frozen=True, slots=True)
class Cut:
    """The paper is cut here; the end of a document is cut in any case."""

    kind: Literal["cut"] = "cut"


Block = Annotated[Text | Pair | Rule | Qr | Barcode | Feed | Banner | Cut, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Document:
    """Blocks from top to bottom; `language` (BCP 47) is for readers aloud and archives, printers ignore it."""

    blocks: tuple[Block, ...]
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line on paper: `indent` columns of space, then `text`; for a code, `text` is its data; a cut has neither."""

    text: str
    indent: int = 0
    bold: bool = False
    double: bool = False
    kind: Literal["text", "qr", "barcode", "cut"] = "text"


_JSON = TypeAdapter(Document)


def to_json(document: Document) -> str:
    """One line of JSON that `from_json` turns back into an equal document. Raises DocumentError for broken Unicode."""
    try:
        return _JSON.dump_json(document).decode()
    except PydanticSerializationError as error:
        raise DocumentError(f"text that cannot be stored: {error}") from error


def from_json(text: str) -> Document:
    """The document that `to_json` wrote. Raises DocumentError for anything else."""
    try:
        return _JSON.validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        raise DocumentError(f"not a printable document: {error.error_count()} faults") from error


def as_copy(document: Document) -> Document:
    """The same document marked as a copy above its first line and below its last, so that no half of it looks first."""
    blocks = document.blocks
    while blocks and blocks[-1].kind == "cut":
        blocks = blocks[:-1]
    return replace(document, blocks=(Banner(COPY_BANNER), *blocks, Banner(COPY_BANNER), Cut()))


def as_training(document: Document) -> Document:
    """The same document marked above and below each of its parts: whatever is torn off at a cut says so."""
    mark, ends = Banner(TRAINING_BANNER), document.blocks[-1:] == (Cut(),)
    blocks: list[Block] = [mark]
    for block in document.blocks if ends else (*document.blocks, Cut()):
        blocks += (mark, block, mark) if isinstance(block, Cut) else (block,)
    return replace(document, blocks=tuple(blocks[:-1]))


def columns_of(text: str) -> int:
    """Columns that cleaned text takes on paper: one for ASCII, two for everything else."""
    return len(text) if text.isascii() else sum(1 if char < "\x80" else 2 for char in text)


def layout(document: Document, columns: int) -> tuple[Line, ...]:
    """The document as lines of at most `columns` columns. No visible character is lost; controls become spaces."""
    if columns < COLUMNS_MIN:
        raise DocumentError(f"paper of {columns} columns is narrower than {COLUMNS_MIN}")
    return tuple(line for block in document.blocks for line in _lines(block, columns))


def to_text(document: Document, columns: int) -> str:
    """What the slip says, for a page, a log or an archive. Cuts are not shown; double size is not widened."""
    shown = (line for line in layout(document, columns) if line.kind != "cut")
    return "\n".join(map(_as_text, shown))


def _as_text(line: Line) -> str:
    if line.kind in CODE_NAMES:
        return f"[{CODE_NAMES[line.kind]}: {line.text}]"
    return f"{' ' * line.indent}{line.text}".rstrip(" ")


def _lines(block: Block, columns: int) -> Iterator[Line]:
    match block:
        case Text():
            yield from _paragraph(block.text, columns, block.align, block.bold, block.size == "double")
        case Pair():
            yield from _pair(block, columns)
        case Rule():
            yield Line("-" * columns)
        case Qr() | Barcode():
            yield Line(block.data, kind=block.kind)
        case Feed():
            yield from (Line("") for _ in range(block.lines))
        case Banner():
            yield Line("*" * columns)
            yield from _paragraph(block.text, columns, "center", bold=True, double=True)
            yield Line("*" * columns)
        case Cut():
            yield Line("", kind="cut")


def _paragraph(text: str, columns: int, align: Align, bold: bool, double: bool) -> Iterator[Line]:
    scale = 2 if double else 1
    for row in text.split("\n"):
        for part in _wrap(_clean(row), columns // scale):
            spare = columns - columns_of(part) * scale
            indent = {"left": 0, "center": spare // 2, "right": spare}[align]
            yield Line(part, indent, bold, double)


def _pair(pair: Pair, columns: int) -> Iterator[Line]:
    *lefts, last = _wrap(_clean(pair.left), columns)
    right = _clean(pair.right)
    gap = columns - columns_of(last) - columns_of(right)
    yield from (Line(part, bold=pair.bold) for part in lefts)
    if gap >= 1:
        yield Line(f"{last}{' ' * gap}{right}", bold=pair.bold)
        return
    yield Line(last, bold=pair.bold)
    yield from _paragraph(right, columns, "right", pair.bold, double=False)


def _clean(text: str) -> str:
    """Text as paper can show it: composed, without controls, which a printer would obey rather than print."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_on_paper, unicodedata.normalize("NFC", text)))


@lru_cache(maxsize=4096)
def _on_paper(char: str) -> str:
    # U+00A5 has no two-byte GB18030 code: its four bytes end in "06" on most printers. The full-width sign prints.
    if char == "¥":
        return "￥"
    match unicodedata.category(char):
        case "Cc" | "Zl" | "Zp":
            return " "
        case "Zs":
            return char if char == "\u3000" else " "
        case "Cf":  # zero-width and text-direction marks: nothing to see, and a way to make an amount read backwards
            return ""
        case "Cs":
            return "□"
    return char


def _wrap(text: str, columns: int) -> Iterator[str]:
    while (fit := _fitting(text, columns)) < len(text):
        at = next((i for i in range(fit, 0, -1) if not _sticks(text[i - 1], text[i])), 0)
        at = at or text.rfind("-", 1, fit) + 1 or fit  # a sale id that is longer than the paper is read by its parts
        yield text[:at].rstrip(" ")
        text = text[at:].lstrip(" ")
    yield text


def _fitting(text: str, columns: int) -> int:
    """How many characters of the text fit into the columns."""
    used = 0
    for index, char in enumerate(text):
        used += columns_of(char)
        if used > columns:
            return index
    return len(text)


def _sticks(left: str, right: str) -> bool:
    """Whether a line must not end between these two: inside a word or number, or before closing punctuation."""
    word = left != " " and right != " " and left.isascii() and right.isascii()
    return word or right in _WRAPPED_CLOSERS
