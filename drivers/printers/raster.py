"""A line of text as dots, for printers that have no characters for it. Rule: it looks as the picture of the slip does.

One strip a line (GS v 0, at most 56 rows of dots), so that no printer's buffer is too small for it.
"""

from __future__ import annotations

import re
from typing import Final

from drivers.document import Line
from drivers.errors import FontError, UnprintableError

_REAL_TIME: Final = re.compile(rb"\x10(?=[\x04\x05\x14])")
"""DLE EOT, DLE ENQ, DLE DC4: a printer obeys them even in the middle of a picture."""
_HARMLESS: Final = b"\x18"
"""One dot more, which nobody sees."""


def strip(line: Line, columns: int) -> bytes:
    """The line as it stands on paper of that many columns. Raises UnprintableError where no font is installed."""
    from drivers.rendering.picture import bitmap  # loads Pillow: only for who needs it
    from drivers.rendering.rows import row_of

    try:
        width_bytes, height, dots = bitmap(row_of(line), columns)
    except FontError as error:
        raise UnprintableError(f"no characters for {line.text!r}, and {error}") from error
    size = width_bytes.to_bytes(2, "little") + height.to_bytes(2, "little")
    return b"\x1dv0\x00" + size + _REAL_TIME.sub(_HARMLESS, dots)
