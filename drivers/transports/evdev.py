"""A keyboard that nobody else hears: /dev/input/eventN, grabbed. Rule: while it is open, no key reaches the POS.

Read from the kernel directly (linux/input.h: struct input_event, EVIOCGRAB): that is one structure and one request,
and the `evdev` package would need a compiler on every till.
"""

from __future__ import annotations

import fcntl
from typing import Final

from drivers.transports.node import NodeTransport

_EVIOCGRAB: Final = 0x40044590
"""_IOW('E', 0x90, int)."""


def evdev(path: str) -> NodeTransport:
    """One input device; what is read are whole `struct input_event`s."""
    return NodeTransport(path, lambda fd: fcntl.ioctl(fd, _EVIOCGRAB, 1))
