"""QR pictures of codes, as PNG files and as characters for a terminal.

The one rule: error correction M and the smallest version that holds the text, as a customer's phone would draw it.
"""

import io
from pathlib import Path

import segno

from agent.errors import CounterfoilError

QUIET_ZONE_MODULES = 4  # ISO/IEC 18004 §6.3.8: light on all four sides, or scanners do not find the symbol


class CodeTooLong(CounterfoilError):
    """The text does not fit a QR code with error correction M."""

    code = "code_too_long"
    hint = "Shorten the text; a credit pass has at most 512 characters."


def draw(code: str) -> segno.QRCode:
    """The symbol for `code`, not boosted. Raises CodeTooLong."""
    try:
        return segno.make_qr(code, error="m", boost_error=False)
    except segno.DataOverflowError as error:
        raise CodeTooLong from error


def save_png(symbol: segno.QRCode, path: Path, *, module_px: int) -> None:
    """Write the symbol with `module_px` pixels a module. Raises OSError."""
    picture = io.BytesIO()
    symbol.save(picture, kind="png", scale=module_px, border=QUIET_ZONE_MODULES)
    path.write_bytes(picture.getvalue())


def text(symbol: segno.QRCode) -> str:
    """The symbol in half-block characters, dark on a light ground, for a terminal at least as wide as the symbol."""
    lines = io.StringIO()
    symbol.terminal(out=lines, border=QUIET_ZONE_MODULES, compact=True)
    return lines.getvalue()
