"""A pseudo-terminal to plug in and out. Rule: its path outlives unplug and replug, as /dev/serial/by-id does."""

from __future__ import annotations

import os
import tty
from pathlib import Path


class VirtualPort:
    """`path` is what the driver opens; a stand-in reads and writes the other end. Raises OSError for a bad path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._master = self._slave = -1
        self.replug()

    @property
    def is_plugged_in(self) -> bool:
        """Whether there is a device under the path."""
        return self._master >= 0

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
