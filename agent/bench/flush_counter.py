"""How many times the disk is told to keep what it has, counted where SQLite asks for it.

The one rule: the file under test is the product's own; the shim only counts.
"""

from __future__ import annotations

import os

import apsw


class _CountedFile(apsw.VFSFile):
    def __init__(self, vfs: FlushCounter, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._vfs = vfs

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw calls it by this name
        self._vfs.count += 1
        super().xSync(flags)


class FlushCounter(apsw.VFS):
    """The machine's VFS under another name. ``count`` is the number of syncs of any file opened through it."""

    def __init__(self) -> None:
        self.name, self.count = f"counted-{os.urandom(4).hex()}", 0
        super().__init__(self.name, base="")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _CountedFile:  # noqa: N802
        return _CountedFile(self, name, flags)
