"""A serial scanner on a pseudo-terminal. Rule: it waits for whoever reads, and never for ever."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path

from drivers.scanners.framing import SUFFIX_BYTES, Suffix
from drivers.virtual.port import VirtualPort

_WRITE_S = 10.0


class VirtualScanner(VirtualPort):
    """`path` is what a serial scanner opens. Raises OSError when the path cannot be made."""

    def __init__(self, path: Path, suffix: Suffix = "cr") -> None:
        super().__init__(path)
        self._suffix = SUFFIX_BYTES[suffix]

    def scan(self, code: bytes, chunk: int | None = None) -> None:
        """Sends the code and the suffix, in pieces of `chunk` bytes. Raises TimeoutError when nobody reads."""
        data = code + self._suffix
        step = chunk or len(data)
        deadline_s = time.monotonic() + _WRITE_S
        for start in range(0, len(data), step):
            self._write(data[start : start + step], deadline_s)

    def _write(self, data: bytes, deadline_s: float) -> None:
        while data:
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0:
                raise TimeoutError("nobody reads the virtual scanner")
            if select.select([], [self._master], [], remaining_s)[1]:
                data = data[os.write(self._master, data) :]
