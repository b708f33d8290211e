"""The line to a device. Rule: every call ends in bounded time, and every failure is a TransportError with a reason.

Reasons are ids of `drivers.remedies`: unreachable, lost, stalled, busy, denied. A transport may be opened again after
`close`; one thread uses it at a time.
"""

from __future__ import annotations

import errno
from typing import Protocol

from drivers.errors import TransportError

_REASONS = {errno.EACCES: "denied", errno.EPERM: "denied", errno.EBUSY: "busy", errno.EAGAIN: "busy"}


class Transport(Protocol):
    """Bytes to and from one device."""

    def open(self, timeout_s: float) -> None:
        """Connects. Raises TransportError (unreachable, busy, denied)."""

    def write(self, data: bytes, timeout_s: float) -> None:
        """Hands all bytes over. Raises TransportError (lost, stalled) whose `sent_max` bounds what may have left."""

    def read(self, size_max: int, timeout_s: float) -> bytes:
        """What has arrived, as soon as something has; b"" after the time-out. Raises TransportError (lost)."""

    def close(self) -> None:
        """Lets go; never raises, and may be called in any state."""


def open_failure(error: OSError) -> TransportError:
    """What a failure to open means."""
    return TransportError(_REASONS.get(error.errno or 0, "unreachable"), str(error))
