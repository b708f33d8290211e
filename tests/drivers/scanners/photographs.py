"""Codes as a counter's camera sees them: turned, tilted, blurred, noisy, dim, shadowed, small, among other things.

Everything is drawn from seeds, so that the same picture comes out every time.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import segno

WIDTH, HEIGHT = 1280, 720
PAPER, INK = 235, 25


@dataclass(frozen=True)
class Shot:
    """How a code is photographed; `side_px`: the width of the code in the frame, `tilt`: how far two corners recede."""

    side_px: int = 420
    angle_deg: float = 0.0
    tilt: float = 0.0
    blur_px: float = 0.0
    noise: float = 3.0
    contrast: float = 1.0
    shadow: float = 0.0
    busy: bool = False
    inverted: bool = False


SHOTS: dict[str, Shot] = {
    "straight": Shot(),
    **{f"turned {angle}°": Shot(angle_deg=angle) for angle in (7, 33, 90, 135, 180, 251)},
    "perspective": Shot(tilt=0.18),
    "perspective, turned": Shot(tilt=0.15, angle_deg=20),
    "blurred": Shot(blur_px=1.6),
    "noisy": Shot(noise=22),
    "busy frame": Shot(busy=True, angle_deg=12),
    "low contrast": Shot(contrast=0.25),
    "half in shadow": Shot(shadow=0.55),
    "small": Shot(side_px=260),
    "dark mode": Shot(inverted=True),
    "evening": Shot(contrast=0.4, noise=10, blur_px=1.0, angle_deg=9, tilt=0.08, busy=True),
}


def qr(text: str) -> np.ndarray:
    """The code of a phone's screen: 8 pixels a module, white margin of 4."""
    rows = np.array([list(row) for row in segno.make_qr(text, error="m", boost_error=False).matrix], dtype=np.uint8)
    margined = np.pad(rows, 4)
    return np.where(np.kron(margined, np.ones((8, 8), np.uint8)), INK, PAPER).astype(np.uint8)


def photograph(code: np.ndarray, shot: Shot, seed: int = 1) -> np.ndarray:
    """A grey frame of 1280 × 720 with the code in it."""
    random = np.random.default_rng(seed)
    frame = _counter(random) if shot.busy else np.full((HEIGHT, WIDTH), 140, np.uint8)
    code = 255 - code if shot.inverted else code
    placed, mask = _placed(code, shot)
    frame = np.where(mask > 127, placed, frame).astype(np.float32)
    frame = 110 + (frame - 128) * shot.contrast
    frame *= _light(shot.shadow)
    if shot.blur_px:
        frame = cv2.GaussianBlur(frame, (0, 0), shot.blur_px)
    return np.clip(frame + random.normal(0, shot.noise, frame.shape), 0, 255).astype(np.uint8)


def empty_counter(seed: int) -> np.ndarray:
    """A frame without any code: things that look a little like one."""
    return photograph(np.full((40, 40), 140, np.uint8), Shot(busy=True, noise=8), seed)[: HEIGHT // 2, : WIDTH // 2]


def _placed(code: np.ndarray, shot: Shot) -> tuple[np.ndarray, np.ndarray]:
    """The code in the middle of a frame by one homography, and where it is."""
    height, width = code.shape
    turn = np.deg2rad(shot.angle_deg)
    half = shot.side_px / 2
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]]) * [1, height / width]
    corners[1] *= 1 - shot.tilt
    corners[2] *= 1 - shot.tilt / 3
    turned = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    target = (turned + np.array((WIDTH / 2, HEIGHT / 2))).astype(np.float32)
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    homography = cv2.getPerspectiveTransform(source, target)
    return (
        cv2.warpPerspective(code, homography, (WIDTH, HEIGHT), flags=cv2.INTER_AREA),
        cv2.warpPerspective(np.full_like(code, 255), homography, (WIDTH, HEIGHT)),
    )


def _counter(random: np.random.Generator) -> np.ndarray:
    """A wood-like counter with boxes, price tags and text on it."""
    grain = cv2.GaussianBlur(random.normal(150, 60, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), sigmaX=25, sigmaY=1)
    frame = np.clip(grain, 0, 255).astype(np.uint8)
    for _ in range(40):
        x, y, w, h = (int(v) for v in random.integers([0, 0, 20, 10], [WIDTH, HEIGHT, 200, 120]))
        grey = int(random.integers(20, 240))
        cv2.rectangle(frame, (x, y), (x + w, y + h), grey, -1)
        cv2.putText(frame, f"{grey}.{w:02d}", (x, y + h // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255 - grey, 2)
    for x in range(40, 240, 12):  # railings: what line codes look like to a careless reader
        cv2.line(frame, (x, 120), (x, 300), int(random.integers(0, 255)), 5)
    return frame


def _light(shadow: float) -> np.ndarray:
    """A hand's shadow over the right half, with a soft edge."""
    across = np.clip((np.arange(WIDTH) - WIDTH / 2) / 60, 0, 1)
    return (1 - shadow * across)[None, :].astype(np.float32)
