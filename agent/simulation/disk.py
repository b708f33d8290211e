"""A disk in memory that loses power, and an SQLite VFS upon it.

The one rule: what was not synced may be there after a power cut, or not, or in part, whichever hurts most.

The model is stricter than any file system in use: writes survive sector by sector in any order; a file's sync does not
make its *name* durable, only a sync of the directory does; names created or unlinked since may each be back or gone.
A sync that fails forgets what it should have written, as Linux does: the reader still sees it, the disk never will.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any, Final

import apsw

SECTOR_BYTES: Final = 512
"""The unit that is written as a whole: the smallest sector of any disk still sold (ATA-8, logical sector)."""

_JOURNALS: Final = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
_names: Final = itertools.count(1)


class Survivors(StrEnum):
    """What of the unsynced state is still there after the power cut."""

    NONE = "none"
    ALL = "all"
    RANDOM = "random"
    TORN = "torn"


@dataclass(slots=True)
class _File:
    """``seen`` is what a reader gets; ``kept`` what the disk holds; ``pending`` the writes between, in order.

    A pending write is (offset, data); data None cuts the file at the offset.
    """

    seen: bytearray = field(default_factory=bytearray)
    kept: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)


def _write(target: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del target[offset:]
        return
    if len(target) < offset:
        target.extend(bytes(offset - len(target)))
    target[offset : offset + len(data)] = data


def _ignore(_what: str) -> None:
    return None


class Disk:
    """Files by path. ``before`` is called before each operation that changes the disk and may raise to make it fail;
    ``after`` is called when it is done: a power cut between two calls is a power cut between two operations.
    While ``process_is_dead``, closing a connection leaves the disk as the process left it.
    """

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self._seen = {name: _File(bytearray(data), bytearray(data)) for name, data in (files or {}).items()}
        self._kept = dict(self._seen)
        self.before: Callable[[str], None] = _ignore
        self.after: Callable[[str], None] = _ignore
        self.operations = 0
        self.process_is_dead = False

    def exists(self, path: str) -> bool:
        return path in self._seen

    def size(self, path: str) -> int:
        return len(self._seen[path].seen)

    def read(self, path: str, amount: int, offset: int) -> bytes:
        return bytes(self._seen[path].seen[offset : offset + amount])

    def create(self, path: str) -> None:
        if path not in self._seen:
            self._begin("create")
            self._seen[path] = _File()
            self._end("create")

    def write(self, path: str, data: bytes, offset: int) -> None:
        self._begin("write")
        self._change(path, offset, bytes(data))
        self._end("write")

    def truncate(self, path: str, size: int) -> None:
        self._begin("truncate")
        self._change(path, size, None)
        self._end("truncate")

    def sync(self, path: str) -> None:
        file = self._seen[path]
        try:
            self._begin("sync")
        except Exception:
            if not self.process_is_dead:
                file.pending.clear()
            raise
        for offset, data in file.pending:
            _write(file.kept, offset, data)
        file.pending.clear()
        self._end("sync")

    def unlink(self, path: str, *, sync_names: bool) -> None:
        if path in self._seen:
            self._begin("unlink")
            del self._seen[path]
            if sync_names:
                self._kept = dict(self._seen)
            self._end("unlink")

    def sync_names(self, _directory: str = "") -> None:
        """An fsync of the directory (the rig has one): every name is durable as it is now."""
        self._begin("sync_names")
        self._kept = dict(self._seen)
        self._end("sync_names")

    def after_power_cut(self, survivors: Survivors, random: Random) -> dict[str, bytes]:
        """The files as the next boot finds them. Changes nothing."""
        files = self._names_after(survivors, random)
        return {name: bytes(_content_after(file, survivors, random)) for name, file in files.items()}

    def after_kill(self) -> dict[str, bytes]:
        """The files after the process died and the machine did not."""
        return {name: bytes(file.seen) for name, file in self._seen.items()}

    def _names_after(self, survivors: Survivors, random: Random) -> dict[str, _File]:
        if survivors is Survivors.ALL:
            return self._seen
        if survivors is Survivors.NONE or self._kept == self._seen:
            return self._kept
        chosen = {}
        for name in sorted(self._kept.keys() | self._seen.keys()):
            file = (self._seen if random.random() < 0.5 else self._kept).get(name)
            if file is not None:
                chosen[name] = file
        return chosen

    def _change(self, path: str, offset: int, data: bytes | None) -> None:
        file = self._seen[path]
        _write(file.seen, offset, data)
        file.pending.append((offset, data))

    def _begin(self, what: str) -> None:
        if self.process_is_dead:
            raise apsw.IOError("the process is gone")
        self.operations += 1
        self.before(what)

    def _end(self, what: str) -> None:
        self.after(what)


def _content_after(file: _File, survivors: Survivors, random: Random) -> bytearray:
    if survivors is Survivors.ALL:
        return file.seen
    if survivors is Survivors.NONE or not file.pending:
        return file.kept
    content = bytearray(file.kept)
    last = random.randrange(len(file.pending)) if survivors is Survivors.TORN else -1
    for number, (offset, data) in enumerate(file.pending):
        if survivors is Survivors.RANDOM or number == last:
            _write_some_sectors(content, offset, data, random)
        elif number < last:
            _write(content, offset, data)
    return content


def _write_some_sectors(content: bytearray, offset: int, data: bytes | None, random: Random) -> None:
    if data is None:
        if random.random() < 0.5:
            _write(content, offset, None)
        return
    for start in range(0, len(data), SECTOR_BYTES):
        if random.random() < 0.5:
            _write(content, offset + start, data[start : start + SECTOR_BYTES])


class DiskVfs(apsw.VFS):
    """SQLite's view of ``disk``, which may be exchanged between two connections. One connection at a time.

    ``like_unix``: the first sync of a new journal or WAL also syncs its name, as SQLite's own VFS does (os_unix.c,
    UNIXFILE_DIRSYNC); without it nothing but a sync of the directory does.
    """

    def __init__(self, disk: Disk, *, like_unix: bool = False) -> None:
        self.disk = disk
        self._like_unix = like_unix
        self.name = f"counterfoil-disk-{next(_names)}"
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> _OpenFile:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or f"/temporary-{next(_names)}"
        syncs_name = self._like_unix and bool(flags[0] & _JOURNALS) and not self.disk.exists(path)
        flags[1] = flags[0]
        return _OpenFile(self.disk, path, syncs_name)

    def xDelete(self, path: str, sync_names: bool) -> None:  # noqa: N802
        self.disk.unlink(path, sync_names=sync_names)

    def xAccess(self, path: str, _flags: int) -> bool:  # noqa: N802
        return self.disk.exists(path)

    def xFullPathname(self, path: str) -> str:  # noqa: N802
        return path


class _OpenFile(apsw.VFSFile):
    """One open file. Locks always succeed: the ledger's one connection is exclusive."""

    def __init__(self, disk: Disk, path: str, syncs_name: bool) -> None:
        self._disk, self._path, self._syncs_name = disk, path, syncs_name
        disk.create(path)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        return self._disk.read(self._path, amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.write(self._path, data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._disk.truncate(self._path, size)

    def xSync(self, _flags: int) -> None:  # noqa: N802
        self._disk.sync(self._path)
        if self._syncs_name:
            self._syncs_name = False
            self._disk.sync_names()

    def xFileSize(self) -> int:  # noqa: N802
        return self._disk.size(self._path)

    def xClose(self) -> None:  # noqa: N802
        return None

    def xLock(self, _level: int) -> None:  # noqa: N802
        return None

    def xUnlock(self, _level: int) -> None:  # noqa: N802
        return None

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, _operation: int, _pointer: int) -> bool:  # noqa: N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return 0
