"""Codes as dark and light modules. Rule: the same code on paper, in a picture and on a page, with its quiet zone.

A QR code is level M in its smallest version, as the printers draw it; a line code is Code 128 (ISO/IEC 15417).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import segno

from drivers.errors import DocumentError
from drivers.rendering.rows import CodeRow

QR_MODULE_DOTS_MAX: Final = 6
BAR_DOTS_MAX: Final = 2
BARCODE_HEIGHT_DOTS: Final = 80
"""One centimetre at 203 dots an inch: a hand-held scanner needs no aiming."""
_QR_QUIET_MODULES = 4

Modules = tuple[tuple[bool, ...], ...]


@lru_cache(maxsize=32)
def modules_of(row: CodeRow) -> Modules:
    """Rows of modules, True is dark; a line code is one row. Raises DocumentError for more than a code holds."""
    return _qr(row.data) if row.symbology == "qr" else _code_128(row.data)


def module_dots(row: CodeRow, width_dots: int) -> int:
    """The greatest size of a module with which the code fits, 0 where not even the least does."""
    greatest = QR_MODULE_DOTS_MAX if row.symbology == "qr" else BAR_DOTS_MAX
    return min(greatest, width_dots // len(modules_of(row)[0]))


def _qr(data: str) -> Modules:
    try:
        symbol = segno.make_qr(data.encode(), error="m", boost_error=False, encoding="utf-8", mode="byte")
    except ValueError as error:  # segno.DataOverflowError is one
        raise DocumentError(f"no QR code holds {len(data)} characters: {error}") from error
    return tuple(tuple(map(bool, row)) for row in symbol.matrix_iter(border=_QR_QUIET_MODULES))


def _code_128(data: str) -> Modules:
    import zxingcpp

    made: Any = zxingcpp.create_barcode(data, zxingcpp.BarcodeFormat.Code128).to_image(add_quiet_zones=True)
    drawn = memoryview(made)
    assert drawn.shape is not None
    return (tuple(level < 128 for level in drawn.tobytes()[: drawn.shape[1]]),)
