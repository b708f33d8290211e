"""A HID device by its reports: /dev/hidrawN. Rule: how they are laid out is asked from the kernel, not the device."""

from __future__ import annotations

import contextlib
import fcntl
from pathlib import Path

from drivers.transports.node import NodeTransport


def report_descriptor(path: str) -> bytes:
    """How the device describes its reports, from /sys; b"" when there is no such device."""
    with contextlib.suppress(OSError):
        return (Path("/sys/class/hidraw") / Path(path).resolve().name / "device/report_descriptor").read_bytes()
    return b""


def hidraw(path: str) -> NodeTransport:
    """One HID device; each read is one report. The kernel lets several read it, so ours agree on a lock."""
    return NodeTransport(path, lambda fd: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))
