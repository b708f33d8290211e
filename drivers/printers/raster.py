"""What a printer has no characters or commands for, as dots. Rule: it looks as the picture of the slip does.

GS v 0 in strips of at most 128 rows, so that no printer's buffer is too small for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from drivers.document import Line
from drivers.errors import FontError, OptionError, UnprintableError

STRIP_ROWS_MAX: Final = 128
LOGO_ROWS_MAX: Final = 400
"""Five centimetres: a logo that is longer is no logo, and at 9600 baud a minute."""
_REAL_TIME: Final = re.compile(rb"\x10(?=[\x04\x05\x14])")
"""DLE EOT, DLE ENQ, DLE DC4: a printer obeys them even in the middle of a picture."""
_HARMLESS: Final = b"\x18"
"""One dot more, which nobody sees."""


def drawn(line: Line, columns: int) -> bytes:
    """The line, or the code, as it stands on paper of that many columns. Raises UnprintableError without a font."""
    from drivers.rendering.picture import bitmap  # loads Pillow: only for who needs it
    from drivers.rendering.rows import row_of

    try:
        width_bytes, _, dots = bitmap(row_of(line), columns)
    except FontError as error:
        raise UnprintableError(f"no characters for {line.text!r}, and {error}") from error
    return strips(width_bytes, dots)


def logo(path: str, paper_dots: int) -> bytes:
    """A picture file in the middle of the paper, made smaller where it is wider. Raises OptionError."""
    from PIL import Image, ImageOps

    try:
        with Image.open(Path(path)) as picture:
            flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA")).convert("L")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise OptionError(f"logo: {path} is no picture that can be read: {error}") from error
    fitted = ImageOps.contain(flat, (paper_dots, flat.height)) if flat.width > paper_dots else flat
    if fitted.height > LOGO_ROWS_MAX:
        raise OptionError(
            f"logo: {path} is {fitted.height} dots high on this paper, at most {LOGO_ROWS_MAX} are allowed"
        )
    paper = Image.new("L", (-(-paper_dots // 8) * 8, fitted.height), 255)
    paper.paste(fitted, ((paper_dots - fitted.width) // 2, 0))
    return strips(paper.width // 8, ImageOps.invert(paper).convert("1").tobytes())


def strips(width_bytes: int, dots: bytes) -> bytes:
    """Rows of dots, the highest bit left, 1 is ink, as commands."""
    return b"".join(_strips(width_bytes, harmless(dots)))


def harmless(dots: bytes) -> bytes:
    """Dots that no printer takes for a command in real time."""
    return _REAL_TIME.sub(_HARMLESS, dots)


def _strips(width_bytes: int, dots: bytes) -> Iterator[bytes]:
    for start in range(0, len(dots), width_bytes * STRIP_ROWS_MAX):
        part = dots[start : start + width_bytes * STRIP_ROWS_MAX]
        rows = len(part) // width_bytes
        yield b"\x1dv0\x00" + width_bytes.to_bytes(2, "little") + rows.to_bytes(2, "little") + part
