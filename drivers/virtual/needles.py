"""What needles have struck since the last line of text. Rule: shares no line with the renderer.

ESC * 1 strikes 8 rows 2/144 inch apart, where the paper stands; ESC J n moves it by n/144 inch.
"""

from __future__ import annotations

from drivers.rendering.rows import BitmapRow


class Struck:
    """Dots by their place: 160 to the inch across, 144 down."""

    def __init__(self) -> None:
        self._dots: dict[int, set[int]] = {}
        self._y = 0

    def strike(self, columns: bytes) -> None:
        """A pass: a byte for each place across, the uppermost needle is the highest bit."""
        for x, needles in enumerate(columns):
            for place in range(8):
                if needles >> (7 - place) & 1:
                    self._dots.setdefault(self._y + 2 * place, set()).add(x)

    def feed(self, steps: int) -> None:
        """The paper moves on."""
        self._y += steps

    def taken(self) -> BitmapRow | None:
        """The picture so far, None where there is none; afterwards there is none."""
        dots, height, self._dots, self._y = self._dots, self._y, {}, 0
        if not dots:
            return None
        height = max(height, *(y + 1 for y in dots))
        width_bytes = max(max(row) for row in dots.values()) // 8 + 1
        rows = (_bits(dots.get(y, set()), width_bytes) for y in range(height))
        return BitmapRow(width_bytes, height, b"".join(rows))


def _bits(places: set[int], width_bytes: int) -> bytes:
    return sum(1 << (8 * width_bytes - 1 - x) for x in places).to_bytes(width_bytes, "big")
