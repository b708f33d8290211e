"""What a camera at the counter sees: photographs of a phone that shows a pass, as a sequence of pictures.

The one rule: the real camera driver reads them; here they are only taken. Seeded, so that every demo sees the same.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import segno
from PIL import Image, ImageChops, ImageFilter

SIZE: Final = (1280, 720)
COUNTER_GREY: Final = 140
NOISE: Final = 14.0
SIDE_PX: Final = 440
SHOTS: Final = 4
_SEED: Final = 20261122


class Camera:
    """A camera whose pictures lie in ``folder``; ``address`` is what the lane's settings call it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder, self.address = folder, f"camera:{folder.resolve()}/%03d.png"
        self._random, self._taken = random.Random(_SEED), 0

    def see(self, code: str) -> None:
        """A few pictures of a phone with this code, each held a little otherwise."""
        drawn = segno.make(code, error="m", boost_error=False, micro=False)
        rows = [list(row) for row in drawn.matrix_iter(scale=8, border=4)]
        screen = Image.new("L", (len(rows[0]), len(rows)))
        screen.putdata([25 if dark else 235 for row in rows for dark in row])
        for _ in range(SHOTS):
            self._take(screen)

    def _take(self, screen: Image.Image) -> None:
        """A picture has its name only when it is whole: whoever watches the folder never sees half of one."""
        beginning = self.folder / "exposing.png"
        self._photograph(screen).save(beginning, compress_level=1)
        beginning.rename(self.folder / f"{self._taken:03}.png")
        self._taken += 1

    def _photograph(self, screen: Image.Image) -> Image.Image:
        """Tilted, turned, out of focus, in poor light."""
        side, lean = screen.size[0], int(screen.size[0] * self._random.uniform(0.02, 0.1))
        corners = (-lean, 0, 0, side, side, side, side + lean, 0)  # where the picture's corners lie on the screen
        tilted = screen.transform(screen.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC, fillcolor=235)
        turned = tilted.resize((SIDE_PX, SIDE_PX)).rotate(
            self._random.uniform(-25, 25), Image.Resampling.BICUBIC, expand=True, fillcolor=COUNTER_GREY
        )
        frame = Image.new("L", SIZE, COUNTER_GREY)
        frame.paste(turned, ((SIZE[0] - turned.size[0]) // 2, (SIZE[1] - turned.size[1]) // 2))
        blurred = frame.filter(ImageFilter.GaussianBlur(self._random.uniform(0.6, 1.2)))
        noise = Image.effect_noise(SIZE, NOISE)  # around 128
        return ImageChops.add(blurred, noise, scale=1, offset=-128)
