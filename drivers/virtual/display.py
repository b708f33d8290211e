"""A pole display on a pseudo-terminal. Rule: shares no line with the renderer, and shows what the bytes say.

What it shows is in `rows`, and in the file `<path>.txt` for whoever looks at it from outside.
"""

from __future__ import annotations

import os
import select
import threading
import time
from pathlib import Path

from drivers.virtual.port import VirtualPort

_COLUMNS, _ROWS = 20, 2
_COMMANDS = {b"\x1b@": 2, b"\x1bt": 3, b"\x1f$": 4, b"\x1f\x01": 2, b"\x1c&": 2, b"\x1c.": 2}
"""Length of each command with its parameters."""
_PAGES = {0: "cp437", 2: "cp850", 16: "cp1252"}
_LOOK_S = 0.05


class Glass:
    """What a byte stream puts on a display of 2 × 20; wide characters take two places."""

    def __init__(self) -> None:
        self._waiting = b""
        self._power_on()

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows as they read, without what is blank at their end."""
        return tuple("".join(cells).rstrip() for cells in self._cells)

    def feed(self, data: bytes) -> None:
        """Shows the bytes; a command or character that is cut in the middle waits for its rest."""
        self._waiting += data
        while self._waiting and (taken := self._take(self._waiting)):
            self._waiting = self._waiting[taken:]

    def _power_on(self) -> None:
        self._cells = [[" "] * _COLUMNS for _ in range(_ROWS)]
        self._x = self._y = 0
        self._wide, self._page = False, "cp437"

    def _take(self, data: bytes) -> int:
        if data[0] in b"\x1b\x1c\x1f":
            length = _COMMANDS.get(data[:2], 2)
            if len(data) < length:
                return 0
            self._obey(data[:length])
            return length
        if data[0] == 0x0C:
            self._cells = [[" "] * _COLUMNS for _ in range(_ROWS)]
            self._x = self._y = 0
            return 1
        size = 2 if self._wide and data[0] >= 0x80 else 1
        if len(data) < size:
            return 0
        self._put(data[:size].decode("gb18030" if size == 2 else self._page, "replace"), size)
        return size

    def _obey(self, command: bytes) -> None:
        match command[:2]:
            case b"\x1b@":
                self._power_on()
            case b"\x1bt":
                self._page = _PAGES.get(command[2], "cp437")
            case b"\x1f$":
                self._x, self._y = min(command[2] - 1, _COLUMNS - 1), min(command[3] - 1, _ROWS - 1)
            case b"\x1c&" | b"\x1c.":
                self._wide = command[1:] == b"&"

    def _put(self, char: str, places: int) -> None:
        for cell in (char, *[""] * (places - 1)):
            self._cells[self._y][self._x] = cell
            self._x += 1
            if self._x == _COLUMNS:  # the cursor goes to the next row, behind the last one to the first
                self._x, self._y = 0, (self._y + 1) % _ROWS


class VirtualDisplay(VirtualPort):
    """`path` is what a serial display opens."""

    def __init__(self, path: Path) -> None:
        self._glass = Glass()
        self._changed = threading.Condition()
        self._closing = False
        super().__init__(path)
        self._thread = threading.Thread(target=self._serve, name="virtual-display", daemon=True)
        self._thread.start()

    @property
    def rows(self) -> tuple[str, ...]:
        """What is on it now."""
        with self._changed:
            return self._glass.rows

    def wait_for(self, rows: tuple[str, ...], timeout_s: float = 15.0) -> bool:
        """Whether it shows that before the time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: self._glass.rows == rows, timeout_s)

    def unplug(self) -> None:
        """No power, and the device node is gone."""
        with self._changed:
            super().unplug()
            self._glass = Glass()

    def replug(self) -> None:
        """Blank, under the same path."""
        with self._changed:
            super().replug()

    def close(self) -> None:
        """Gone for good."""
        self._closing = True
        self._thread.join()
        super().close()

    def _serve(self) -> None:
        while not self._closing:
            with self._changed:
                data = self._arrived()
                if data:
                    self._glass.feed(data)
                    self.path.with_name(f"{self.path.name}.txt").write_text("\n".join(self._glass.rows) + "\n", "utf-8")
                    self._changed.notify_all()
            time.sleep(0 if data else _LOOK_S)

    def _arrived(self) -> bytes:
        if self._master < 0 or not select.select([self._master], [], [], 0)[0]:
            return b""
        try:
            return os.read(self._master, 4096)
        except OSError:
            return b""
