"""Space on the disk that the lane keeps for itself: when the disk is full, it can still close its books.

The one rule: nobody but a full disk uses it. What the lane may count on for new sales never includes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

RESERVE_BYTES: Final = 32 * 2**20
"""A ledger that is opened again (8 MB for its log), and after it thousands of outcomes, captures and reversals."""
LOW_BYTES: Final = 16 * 2**20
"""Less is called full: other programs fill the rest between two looks."""


class Reserve:
    """A preallocated file. Everything in bytes; ``path`` lies on the disk that it speaks of."""

    def __init__(self, path: Path, size_bytes: int = RESERVE_BYTES, low_bytes: int = LOW_BYTES) -> None:
        self._path, self._size_bytes, self._low_bytes = path, size_bytes, low_bytes

    @property
    def is_held(self) -> bool:
        return self._path.exists()

    def spare_bytes(self) -> int:
        """Free space beyond what belongs to the reserve, whether it is held or given back."""
        free_bytes = self._free_bytes()
        return free_bytes if self.is_held else max(0, free_bytes - self._size_bytes)

    def keep(self) -> bool:
        """Give it back when the disk is full, take it again when there is room; whether it is held now."""
        free_bytes = self._free_bytes()
        if self.is_held and free_bytes < self._low_bytes:
            with contextlib.suppress(OSError):  # a disk that takes no changes has other troubles, which are told
                self._path.unlink()
        elif not self.is_held and free_bytes >= self._size_bytes + 2 * self._low_bytes:
            self._take()
        return self.is_held

    def _take(self) -> None:
        """Blocks, not a hole; the name comes last, so that a reserve that is there is whole."""
        beginning = self._path.with_suffix(".new")
        try:
            handle = os.open(beginning, os.O_CREAT | os.O_WRONLY, 0o600)
            try:
                os.posix_fallocate(handle, 0, self._size_bytes)
                os.fsync(handle)
            finally:
                os.close(handle)
            beginning.rename(self._path)
        except OSError:  # the room is gone again, or the disk takes no changes: the next look will tell
            beginning.unlink(missing_ok=True)

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._path.parent).free
