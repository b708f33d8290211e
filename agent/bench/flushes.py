"""The flush of a disk: counted where SQLite asks for it, or made as slow as a shop's.

The one rule: the file under test is the product's own; the shim only counts or waits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

import apsw

SHOP_FLUSH_S: Final = 0.003
"""A lane computer's eMMC or SATA SSD flushes in 1 to 20 ms; a data centre's NVMe, where tests run, in 0.1 ms."""


class _Watched(apsw.VFSFile):
    def __init__(self, at_sync: Callable[[], None], name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._at_sync = at_sync

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw calls it by this name
        self._at_sync()
        super().xSync(flags)


class _WatchedFiles(apsw.VFS):
    """The machine's VFS under another name, with something done at each sync of any file opened through it."""

    def __init__(self) -> None:
        self.name = f"watched-{os.urandom(4).hex()}"
        super().__init__(self.name, base="")

    def at_sync(self) -> None:
        raise NotImplementedError

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _Watched:  # noqa: N802
        return _Watched(self.at_sync, name, flags)


class FlushCounter(_WatchedFiles):
    """``count`` is the number of syncs."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def at_sync(self) -> None:
        self.count += 1


class ShopDisk(_WatchedFiles):
    """A disk whose flush takes ``SHOP_FLUSH_S`` more than this one's."""

    def at_sync(self) -> None:
        time.sleep(SHOP_FLUSH_S)
