"""The process that watches one camera. Rule: it never takes more of a core than it was given, nor outlives its parent.

To see what it says: `python -m drivers.scanners.camera_process /dev/video0 25`, ended by the end of its input.
A picture file (shown for ever), a sequence such as `dir/%03d.png` (from 000 on, which may still grow) and a video stand
in for a camera; after the last picture of a recording there is nothing more to see.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from drivers.scanners.camera import EXIT_REASONS, code_line, region_percent
from drivers.scanners.sightings import Sightings

if TYPE_CHECKING:
    from drivers.scanners.decoding import LiveReader, Picture

_EXIT: Final = {reason: code for code, reason in EXIT_REASONS.items()}
_NICENESS = 10
"""A sale must never wait for a picture."""
_WIDTH, _HEIGHT = 1280, 720
"""A pass of 500 characters has 85 modules a side: at arm's length they need more pixels than VGA has."""
_PERIOD_MIN_S, _PERIOD_AT_REST_S = 1 / 12, 0.1
"""Nobody shows a code for less than a tenth of a second, so that more looks would only warm the computer."""
_BEAT_S = 1.0
_STILL_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


def main(arguments: list[str]) -> int:
    """Watches the camera `arguments[0]` with `arguments[1]` per cent of a core; returns an exit code.

    `arguments[2]`, if given, is the part of the picture to look at (`CameraSettings.region`).
    """
    source, percent, region = arguments[0], int(arguments[1]), [*arguments, "0,0,100,100"][2]
    if refusal := _refusal(source):
        return _EXIT[refusal]
    os.nice(_NICENESS)
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    try:
        from drivers.scanners.decoding import LiveReader
    except ImportError:
        return _EXIT["camera_missing"]
    pictures = (None if picture is None else part_of(picture, region) for picture in _pictures(source))
    return _watch(pictures, LiveReader(), percent / 100)


def part_of(picture: Picture, region: str) -> Picture:
    """The region of a picture, without copying it."""
    left, top, width, height = region_percent(region)
    rows, columns = picture.shape[:2]
    return picture[
        rows * top // 100 : rows * (top + height) // 100, columns * left // 100 : columns * (left + width) // 100
    ]


def _refusal(source: str) -> str:
    """Why the source cannot be opened, as far as the file system knows."""
    path = Path(f"/dev/video{source}" if source.isdecimal() else source)
    if "%" in path.name:
        return "" if path.parent.is_dir() else "unreachable"
    if not path.exists():
        return "unreachable"
    return "" if os.access(path, os.R_OK) else "denied"


def _watch(pictures: Iterable[Picture | None], reader: LiveReader, share: float) -> int:
    sightings, beat_s = Sightings(), 0.0
    began_s, cpu_s = time.monotonic(), time.process_time()
    for picture in pictures:
        codes = () if picture is None else reader.read(picture, began_s)
        if reader.at_rest:
            sightings.nothing_moved(began_s)
        output = b"".join(map(code_line, sightings.seen(codes, began_s)))
        if began_s - beat_s >= _BEAT_S:
            beat_s, output = began_s, b"\n" + output
        spent_s = time.process_time() - cpu_s
        period_s = max(spent_s / share, _PERIOD_AT_REST_S if reader.at_rest else _PERIOD_MIN_S)
        if not _write(output) or _told_to_end(max(began_s + period_s - time.monotonic(), 0.0)):
            return 0
        began_s, cpu_s = time.monotonic(), time.process_time()
    return _EXIT["camera_no_picture"]


def _told_to_end(rest_s: float) -> bool:
    return bool(select.select([sys.stdin], [], [], rest_s)[0])


def _write(data: bytes) -> bool:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError:
        return False
    return True


def _pictures(source: str) -> Iterator[Picture | None]:
    """Grey pictures for ever; None when a recording is over; ends when a camera gives no more."""
    import cv2

    if source.lower().endswith(_STILL_SUFFIXES) and "%" not in source:
        still = cv2.imread(source, cv2.IMREAD_GRAYSCALE)
        yield from () if still is None else repeat(still)
        return
    if "%" in Path(source).name:
        yield from _sequence(cv2, source)
        return
    device = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    is_camera = source.isdecimal() or source.startswith("/dev/")
    if is_camera:
        _prepare(cv2, device)
    frame = None
    while (following := _frame(device)) is not None:
        frame = following
        yield frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    if frame is not None and not is_camera:
        yield from repeat(None)


def _sequence(cv2: Any, source: str) -> Iterator[Picture | None]:
    """Each picture once, as soon as it is there; None while there is none."""
    folder, pattern, number = Path(source).parent, Path(source).name, 0
    while True:
        file = folder / (pattern % number)
        picture = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) if file.exists() else None
        number += picture is not None
        yield picture


def _prepare(cv2: Any, device: Any) -> None:
    for name, value in (("FRAME_WIDTH", _WIDTH), ("FRAME_HEIGHT", _HEIGHT), ("BUFFERSIZE", 1)):
        device.set(getattr(cv2, f"CAP_PROP_{name}"), value)


def _frame(device: Any) -> Any:
    good, frame = device.read()
    return frame if good else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
