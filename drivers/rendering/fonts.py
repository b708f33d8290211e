"""The fonts that slips are drawn in. Rule: a character without a font is an error with its remedy, never a blank.

Two kinds: a narrow one for ASCII, a wide one for everything else. Debian has both in `fonts-wqy-microhei`; `DejaVu Sans
Mono` (fonts-dejavu-core) is preferred for ASCII where it is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

from drivers.errors import FontError

_ROOT = Path("/usr/share/fonts")


@dataclass(frozen=True, slots=True)
class Face:
    """A font file below /usr/share/fonts, the number of its face there, and its em in parts of the line's height."""

    path: str
    index: int = 0
    em: float = 1.0


NARROW = (
    Face("truetype/dejavu/DejaVuSansMono.ttf", em=0.83),
    Face("truetype/wqy/wqy-microhei.ttc", 1, 0.83),
    Face("opentype/noto/NotoSansCJK-Regular.ttc", 7),
)
WIDE = (
    Face("truetype/wqy/wqy-microhei.ttc"),
    Face("opentype/noto/NotoSansCJK-Regular.ttc", 2),
    Face("truetype/wqy/wqy-zenhei.ttc"),
    Face("truetype/droid/DroidSansFallbackFull.ttf"),
    Face("truetype/arphic/uming.ttc"),
)
_REMEDY = "install the package fonts-wqy-microhei"


@lru_cache(maxsize=16)
def font(height_px: int, *, wide: bool) -> ImageFont.FreeTypeFont:
    """The first face there is. Raises FontError when there is none."""
    for face in WIDE if wide else NARROW:
        if (_ROOT / face.path).is_file():
            size = round(height_px * face.em)
            return ImageFont.truetype(_ROOT / face.path, size, face.index, layout_engine=ImageFont.Layout.BASIC)
    raise FontError(f"no font to draw slips in: {_REMEDY}")
