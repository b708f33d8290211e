"""A serial scanner on a pseudo-terminal. Rule: its path outlives unplug and replug, as /dev/serial/by-id does."""

from __future__ import annotations

import os
import select
import time
import tty
from pathlib import Path

from drivers.scanners.framing import SUFFIX_BYTES, Suffix

_WRITE_S = 2.0


class VirtualScanner:
    """`path` is what a serial scanner opens. Raises OSError when the path cannot be made."""

    def __init__(self, path: Path, suffix: Suffix = "cr") -> None:
        self.path = path
        self._suffix = SUFFIX_BYTES[suffix]
        self._master = self._slave = -1
        self.replug()

    def scan(self, code: bytes, chunk: int | None = None) -> None:
        """Sends the code and the suffix, in pieces of `chunk` bytes. Raises TimeoutError when nobody reads."""
        data = code + self._suffix
        step = chunk or len(data)
        deadline_s = time.monotonic() + _WRITE_S
        for start in range(0, len(data), step):
            self._write(data[start : start + step], deadline_s)

    def unplug(self) -> None:
        """The device node goes away; who reads it gets an error."""
        self.path.unlink(missing_ok=True)
        for fd in (self._master, self._slave):
            if fd >= 0:
                os.close(fd)
        self._master = self._slave = -1

    def replug(self) -> None:
        """A new device under the same path."""
        self.unplug()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.symlink_to(os.ttyname(self._slave))

    def close(self) -> None:
        """Gone for good."""
        self.unplug()

    def _write(self, data: bytes, deadline_s: float) -> None:
        while data:
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0:
                raise TimeoutError("nobody reads the virtual scanner")
            if select.select([], [self._master], [], remaining_s)[1]:
                data = data[os.write(self._master, data) :]
