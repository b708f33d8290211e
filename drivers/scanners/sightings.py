"""Which codes in a camera's pictures count as scans. Rule: one code shown once is one scan, however long it is shown.

A printed line code can be misread with a check digit that fits, so it counts only when two readings in a row agree;
two-dimensional codes carry error correction and count at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from drivers.scanners.framing import Code

AWAY_S = 3.0
"""A code that was not seen for this long has been taken away; when it comes back it is a new scan."""
_AGREE_S = 2.0
_CORRECTED = ("]Q", "]d")
"""AIM code characters of QR and Data Matrix (ISO/IEC 15424)."""


class Sightings:
    """The memory of one camera. Forgets what is away, so its size is that of what was shown in the last seconds."""

    def __init__(self) -> None:
        self._counted_s: dict[Code, float] = {}
        self._last: tuple[Code, ...] = ()
        self._last_s = -_AGREE_S

    def seen(self, codes: Iterable[Code], now_s: float) -> tuple[Code, ...]:
        """The codes of one picture; returns those that are scans now."""
        codes = tuple(codes)
        if not codes:
            return ()
        self._counted_s = {code: at_s for code, at_s in self._counted_s.items() if now_s - at_s < AWAY_S}
        before = self._last if now_s - self._last_s <= _AGREE_S else ()
        sure = [code for code in codes if code in before or (code.symbology or "").startswith(_CORRECTED)]
        new = tuple(code for code in sure if code not in self._counted_s)
        self._counted_s.update(dict.fromkeys(sure, now_s))
        self._last, self._last_s = codes, now_s
        return new

    def nothing_moved(self, now_s: float) -> None:
        """What was there is still there, read again or not."""
        self._counted_s = {code: now_s for code, at_s in self._counted_s.items() if now_s - at_s < AWAY_S}
