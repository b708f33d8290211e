"""What a camera takes of a core: before a counter where nothing moves, and while something is moved before it.

The one rule: its process is the product's own, with the share that it is given when nobody says otherwise.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import segno

from agent.bench.measure import Figure
from drivers.scanners.camera import START_S, CameraSettings, CameraTransport

_WARM_S: Final = 1.5
"""A scene is at rest after a second; loading the libraries is not what a day costs."""
_WIDTH, _HEIGHT = 1280, 720
_PICTURES_MAX: Final = 3_000
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


def camera_shares(directory: Path, measured_s: float) -> Iterator[Figure]:
    """Per cent of a core. Nothing without counterfoil[camera] and zbar."""
    try:
        import cv2
        import numpy as np
        from pyzbar import pyzbar  # noqa: F401 - its import fails without libzbar0
    except ImportError:
        return
    code = np.kron(np.array([list(row) for row in segno.make_qr("A" * 500).matrix], np.uint8) ^ 1, np.uint8(4)) * 200
    for number, left in enumerate((100, 700)):
        counter = np.full((_HEIGHT, _WIDTH), 140, np.uint8)
        counter[100 : 100 + len(code), left : left + len(code)] = code
        cv2.imwrite(str(directory / f"{number}.png"), counter)
    moving = directory / "moving"
    moving.mkdir()
    for number in range(_PICTURES_MAX):
        (moving / f"{number:04d}.png").symlink_to(directory / f"{number % 2}.png")
    settings = CameraSettings()
    for name, source in (("at rest", directory / "0.png"), ("at work", moving / "%04d.png")):
        share = _share_percent(CameraTransport(str(source), settings), measured_s)
        yield Figure(f"camera's share of a core, {name}", share, "%", goal=f"<= {settings.cpu_percent_max} %")


def _share_percent(camera: CameraTransport, measured_s: float) -> float:
    camera.open(START_S)
    try:
        _read_for(camera, _WARM_S)
        began_s, began_cpu_s = time.monotonic(), _cpu_s(camera)
        _read_for(camera, measured_s)
        return 100 * (_cpu_s(camera) - began_cpu_s) / (time.monotonic() - began_s)
    finally:
        camera.close()


def _read_for(camera: CameraTransport, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while (remaining_s := until_s - time.monotonic()) > 0:
        camera.read(4096, remaining_s)


def _cpu_s(camera: CameraTransport) -> float:
    """User and system time of its process (proc(5), stat, fields 14 and 15)."""
    fields = Path(f"/proc/{camera.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S
