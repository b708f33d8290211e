"""A camera as a line that codes come from. Rule: pictures stay in a process of their own, only codes cross.

The process may crash (its libraries do on some pictures) or hang (drivers do): its end, or its silence, is a
TransportError like any other lost line, and opening again starts a new one. It writes an empty line every second, the
first one with its first picture, and a line for each code; its exit code says why it could not go on.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Final

from drivers.errors import OptionError, TransportError
from drivers.scanners.framing import CODE_BYTES_MAX, Code, Dropped, Frame

START_S: Final = 10.0
"""Imports of 0.5 s, and cameras that take seconds for their first picture."""
SILENCE_S: Final = 15.0
"""Longer than opencv waits for a picture (10 s) before it gives up by itself."""
EXIT_REASONS: Final = {10: "camera_missing", 11: "unreachable", 12: "denied", 13: "camera_no_picture"}
"""Exit code of the camera's process → id of `drivers.remedies`; any other end is a crash."""
_STOP_S = 1.0
_EXIT_S = 10.0
"""A process that has closed its output says with its exit code why; on a busy machine it takes its time to end."""
_LINE = re.compile(rb"(-|\][A-Za-z][0-9A-Za-z]) ((?:[0-9a-f]{2})+)")
_LINE_BYTES_MAX = 2 * CODE_BYTES_MAX + 8


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """`cpu_percent_max`: how much of one core reading may take; it sets the rate of pictures.

    `region`: the part of each picture that is looked at, as left, top, width, height in per cent of it.
    """

    cpu_percent_max: int = 25
    region: str = "0,0,100,100"

    def __post_init__(self) -> None:
        left, top, width, height = region_percent(self.region)
        if not (width and height and left + width <= 100 and top + height <= 100):
            raise OptionError(f"region must lie in the picture: left,top,width,height in per cent, not {self.region!r}")
        if not 1 <= self.cpu_percent_max <= 100:
            raise OptionError(f"cpu_percent_max must be 1 to 100, not {self.cpu_percent_max}")


def region_percent(text: str) -> tuple[int, int, int, int]:
    """Left, top, width, height. Raises OptionError."""
    if not (numbers := re.fullmatch(r"(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})", text)):
        raise OptionError(f"region must be left,top,width,height in per cent, such as 25,0,50,100, not {text!r}")
    left, top, width, height = map(int, numbers.groups())
    return left, top, width, height


def code_line(code: Code) -> bytes:
    """A code as the camera's process writes it: AIM id or "-", a space, the bytes in hex."""
    return f"{code.symbology or '-'} {code.raw.hex()}\n".encode("ascii")


class CodeLines:
    """Codes out of those lines. Whatever else comes is dropped in bounded memory."""

    pause_s = SILENCE_S

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> tuple[Frame, ...]:
        """The codes that these bytes complete; empty lines are signs of life."""
        *lines, self._held = (self._held + data).split(b"\n")
        self._held = self._held[: _LINE_BYTES_MAX + 1]
        return tuple(_code(line) for line in lines if line)

    def pause(self) -> tuple[Frame, ...]:
        """Nothing is cut by a pause."""
        return ()


def _code(line: bytes) -> Frame:
    if not (parts := _LINE.fullmatch(line)):
        return Dropped("overlong")
    symbology, digits = parts[1].decode(), parts[2].decode()
    return Code(bytes.fromhex(digits), None if symbology == "-" else symbology)


class CameraTransport:
    """The process that watches one camera: `/dev/video0`, `0`, or a recording that stands in for one."""

    def __init__(self, source: str, settings: CameraSettings) -> None:
        self._command = [
            *(sys.executable, "-P", "-m", "drivers.scanners.camera_process"),
            *(source, str(settings.cpu_percent_max), settings.region),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._sign_of_life_s = 0.0

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process else None

    def open(self, timeout_s: float) -> None:
        """Starts it and waits for its first picture. Raises TransportError (EXIT_REASONS, camera_crashed)."""
        self.close()
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise TransportError("camera_crashed", str(error)) from error
        self._sign_of_life_s = time.monotonic()
        if not self.read(1, timeout_s):
            raise TransportError("camera_no_picture", f"nothing within {timeout_s} s")

    def write(self, data: bytes, timeout_s: float) -> None:  # noqa: ARG002 - a camera is told nothing
        """A camera takes no bytes. Raises TransportError."""
        raise TransportError("lost", "a camera takes no data")

    def read(self, size_max: int, timeout_s: float) -> bytes:
        """Lines or parts of lines. Raises TransportError when the process has ended or fallen silent."""
        if self._process is None or self._process.stdout is None:
            raise TransportError("lost", "not open")
        stdout = self._process.stdout.fileno()
        if not select.select([stdout], [], [], timeout_s)[0]:
            if time.monotonic() - self._sign_of_life_s > SILENCE_S + timeout_s:
                raise TransportError("camera_no_picture", "silent")
            return b""
        data = os.read(stdout, size_max)
        if not data:
            raise self._ended(self._process)
        self._sign_of_life_s = time.monotonic()
        return data

    def close(self) -> None:
        """Ends the process: by the end of its input, and if it is stuck in a driver, by force."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ended(self, process: subprocess.Popen[bytes]) -> TransportError:
        try:
            status = process.wait(_EXIT_S)
        except subprocess.TimeoutExpired:
            return TransportError("camera_crashed", "closed its output")
        return TransportError(EXIT_REASONS.get(status, "camera_crashed"), f"exit code {status}")
