"""Codes in a picture. Rule: a code comes back byte for byte as it was drawn, or not at all.

zxing-cpp reads first, because it is quickest and hands over bytes; what it misses, zbar or an enlarged and sharpened
picture may show. Imports opencv and zbar (which can abort its process): for the camera's child process only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import zxingcpp
from pyzbar import pyzbar

from drivers.scanners.framing import Code

cv2.setNumThreads(1)

Picture = Any
"""A grey picture: rows by columns of one byte, as numpy.uint8."""

_FORMATS: Any = [
    zxingcpp.BarcodeFormat[name] for name in ("EANUPC", "Code128", "ITF14", "DataBar", "QRCode", "DataMatrix")
]
# zbar's DataBar and PDF417 readers abort the process on some pictures; ITF without a check digit reads railings.
_ZBAR_SYMBOLOGIES = {"EAN13": "]E0", "EAN8": "]E4", "CODE128": "]C0", "QRCODE": "]Q1"}
_ZBAR_SYMBOLS = [pyzbar.ZBarSymbol[name] for name in _ZBAR_SYMBOLOGIES]
_ZBAR_MANGLES = frozenset(b"\\~")
"""zbar guesses a character set and converts: only ASCII is sure to be unchanged, without what Shift-JIS redefines."""
_ENLARGED = 2
_ENLARGED_PIXELS_MAX = 2_000_000
_SHARPENING, _BLUR_SIGMA_PX = 1.5, 2.0
_FALLBACK_EVERY = 3
"""Pictures without a code until a slower reader looks at one: it costs up to ten times the quick one."""
_SCENE_PX = (64, 48)
_SCENE_CHANGE = 12
"""Difference of one cell, in 255 grey levels: above noise averaged over its 300 pixels, below a code that comes."""
_STILL_S, _LOOK_S = 1.0, 1.0


def read_quickly(picture: Picture, *, thorough: bool = True) -> tuple[Code, ...]:
    """What zxing-cpp reads; not `thorough`: in half the time, without line codes on end and codes in white on black."""
    found = zxingcpp.read_barcodes(
        picture, formats=_FORMATS, text_mode=zxingcpp.TextMode.Plain, try_rotate=thorough, try_invert=thorough
    )
    return tuple(dict.fromkeys(Code(code.bytes, code.symbology_identifier) for code in _apart(found) if code.bytes))


def _apart(found: list[Any]) -> list[Any]:
    """Without codes inside of larger ones: a few misread rows of a line code are a code too, with a fitting digit."""
    kept: list[Any] = []
    for code in sorted(found, key=_area_px, reverse=True):
        middle_x, middle_y = (sum(pair) / 2 for pair in zip(*_corners(code), strict=True))
        if not any(x0 <= middle_x <= x1 and y0 <= middle_y <= y1 for (x0, y0), (x1, y1) in map(_corners, kept)):
            kept.append(code)
    return kept


def _corners(code: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Upper left and lower right of the code's upright bounding box."""
    p = code.position
    xs, ys = zip(*((at.x, at.y) for at in (p.top_left, p.top_right, p.bottom_left, p.bottom_right)), strict=True)
    return (min(xs), min(ys)), (max(xs), max(ys))


def _area_px(code: Any) -> int:
    (x0, y0), (x1, y1) = _corners(code)
    return (x1 - x0) * (y1 - y0)


def read_with_zbar(picture: Picture) -> tuple[Code, ...]:
    """What zbar reads, of which only what its conversion of character sets cannot have changed."""
    found = pyzbar.decode(picture, symbols=_ZBAR_SYMBOLS)
    sure = (code for code in found if code.data.isascii() and not _ZBAR_MANGLES.intersection(code.data))
    return tuple(dict.fromkeys(Code(code.data, _ZBAR_SYMBOLOGIES[code.type]) for code in sure if code.data))


def read_sharpened(picture: Picture) -> tuple[Code, ...]:
    """What zxing-cpp reads in the picture at twice its size, with its edges raised."""
    if picture.size * _ENLARGED**2 > _ENLARGED_PIXELS_MAX:
        large = picture
    else:
        large = cv2.resize(picture, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(large, (0, 0), _BLUR_SIGMA_PX)
    return read_quickly(cv2.addWeighted(large, 1 + _SHARPENING, soft, -_SHARPENING, 0))


FALLBACKS: tuple[Callable[[Picture], tuple[Code, ...]], ...] = (read_with_zbar, read_sharpened)


def read(picture: Picture) -> tuple[Code, ...]:
    """The codes in one still picture: the first reader that finds any wins."""
    return next((codes for reader in (read_quickly, *FALLBACKS) if (codes := reader(picture))), ())


class LiveReader:
    """One camera's pictures: the quick reader on each, thoroughly on every second, a slower one now and then.

    A still scene is looked at only once a second, and thoroughly.

    `at_rest`: nothing has moved for a second, so that what was in view still is.
    """

    def __init__(self) -> None:
        self.at_rest = False
        self._scene: Any = None
        self._changed_s = self._looked_s = float("-inf")
        self._unread = self._looks = 0

    def read(self, picture: Picture, now_s: float) -> tuple[Code, ...]:
        """The codes of this picture, () also when it was not worth a look."""
        scene = cv2.resize(picture, _SCENE_PX, interpolation=cv2.INTER_AREA)
        if self._scene is None or cv2.absdiff(scene, self._scene).max() > _SCENE_CHANGE:
            self._scene, self._changed_s = scene, now_s
        self.at_rest = now_s - self._changed_s > _STILL_S
        if self.at_rest and now_s - self._looked_s < _LOOK_S:
            return ()
        self._looked_s = now_s
        self._looks += 1
        codes = read_quickly(picture, thorough=self.at_rest or self._looks % 2 == 1)
        self._unread = 0 if codes else self._unread + 1
        if codes or self._unread % _FALLBACK_EVERY:
            return codes
        return FALLBACKS[self._unread // _FALLBACK_EVERY % len(FALLBACKS)](picture)
