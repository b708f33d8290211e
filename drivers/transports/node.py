"""A character device that is only read, such as /dev/hidraw0. Rule: it is this program's alone while it is open."""

from __future__ import annotations

import contextlib
import errno
import os
import select
from collections.abc import Callable

from drivers.errors import TransportError
from drivers.transports.transport import open_failure


class NodeTransport:
    """One node by its path; a read gives what came at once, such as one report.

    `take` makes the open file this program's alone, or raises OSError (EBUSY, EAGAIN) when another has it.
    """

    def __init__(self, path: str, take: Callable[[int], object]) -> None:
        self._path, self._take = path, take
        self._fd = -1

    def open(self, timeout_s: float) -> None:  # noqa: ARG002 - opening without blocking takes no time
        """Opens it for this program. Raises TransportError (unreachable, denied, busy)."""
        self.close()
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
            self._take(self._fd)
        except OSError as error:
            self.close()
            raise open_failure(error) from error

    def write(self, data: bytes, timeout_s: float) -> None:  # noqa: ARG002 - a device that is only read
        """Takes no bytes. Raises TransportError."""
        raise TransportError("lost", f"{self._path} takes no data")

    def read(self, size_max: int, timeout_s: float) -> bytes:
        """What the device has sent. Raises TransportError (lost)."""
        if self._fd < 0:
            raise TransportError("lost", "not open")
        try:
            if not select.select([self._fd], [], [], timeout_s)[0]:
                return b""
            data = os.read(self._fd, size_max)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise TransportError("lost", os.strerror(error.errno or errno.EIO)) from error
        if not data:
            raise TransportError("lost", "the device has gone")
        return data

    def close(self) -> None:
        """Lets go."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)
