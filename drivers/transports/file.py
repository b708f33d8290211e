"""A device behind a file: /dev/usb/lp0, or a plain file that keeps what was printed. Rule: no wait is unbounded."""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from pathlib import Path

from drivers.errors import TransportError
from drivers.transports.transport import open_failure

_EMPTY_ANSWER_S = 0.02
"""usblp says "readable" for empty USB packets; without this pause a waiting reader would spin."""


class FileTransport:
    """One path: read and written where it is a device, appended to where it is not."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._fd = -1
        self._answers = False

    def open(self, timeout_s: float) -> None:  # noqa: ARG002 - opening without blocking takes no time
        """Opens the file; a plain one is made readable by its owner only: slips name people. Raises TransportError."""
        self.close()
        try:
            self._answers = self._path.exists() and stat.S_ISCHR(self._path.stat().st_mode)
            how = os.O_RDWR if self._answers else os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._fd = os.open(self._path, how | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, 0o600)
        except OSError as error:
            raise open_failure(error) from error

    def write(self, data: bytes, timeout_s: float) -> None:
        """Writes all bytes within the time-out. Raises TransportError."""
        deadline_s = time.monotonic() + timeout_s
        sent = 0
        while sent < len(data):
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0:
                raise TransportError("stalled", f"after {sent} of {len(data)} bytes", sent)
            try:
                select.select([], [self._opened()], [], remaining_s)
                sent += os.write(self._opened(), data[sent:])
            except BlockingIOError:
                continue
            except OSError as error:
                raise TransportError(self._why_not_written(error), str(error), sent) from error

    def read(self, size_max: int, timeout_s: float) -> bytes:
        """What a device has answered; always b"" from a plain file. Raises TransportError (lost)."""
        if not self._answers:
            return b""
        try:
            ready, _, _ = select.select([self._opened()], [], [], timeout_s)
            data = os.read(self._opened(), size_max) if ready else b""
            if ready and not data:
                time.sleep(min(timeout_s, _EMPTY_ANSWER_S))
            return data
        except BlockingIOError:
            return b""
        except OSError as error:
            raise TransportError("lost", str(error)) from error

    def close(self) -> None:
        """Closes the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _why_not_written(self, error: OSError) -> str:
        if error.errno != errno.ENOSPC:
            return "lost"
        return "paper_out" if self._answers else "disk_full"  # usblp says "no space" of a printer without paper

    def _opened(self) -> int:
        if self._fd < 0:
            raise TransportError("lost", "not open")
        return self._fd
