"""The rivals that SQLite itself sets: one row committed, one key looked up, rows inserted in batches.

The one rule: a rival gets the same file system, the same pragmas and the same state of its write-ahead log.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Final

import apsw

from agent.store.database import WAL_PAGES

PAGE_BYTES: Final = 4096
SEAL: Final = ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0")


def sealed(path: Path, vfs: str | None = None) -> apsw.Connection:
    """An empty database whose commits are durable, with its write-ahead log grown once and recycled."""
    database = apsw.Connection(str(path), vfs=vfs)
    for pragma in SEAL:
        database.execute(f"PRAGMA {pragma}").fetchall()
    database.execute("CREATE TABLE grow (page BLOB)")
    database.execute("INSERT INTO grow VALUES (zeroblob(?))", (PAGE_BYTES * WAL_PAGES,))
    database.execute("DROP TABLE grow")
    return database


class BareCommit:
    """One row of 300 bytes, inserted and committed: the least that a durable decision can cost."""

    def __init__(self, path: Path, vfs: str | None = None) -> None:
        self._database = sealed(path, vfs)
        self._database.execute("CREATE TABLE entry (number INTEGER PRIMARY KEY, data BLOB)")
        self._data, self._numbers = bytes(300), count(1)
        self.recycle()

    def commit(self) -> None:
        self._database.execute("INSERT INTO entry VALUES (?, ?)", (next(self._numbers), self._data))

    def recycle(self) -> None:
        """Start the write-ahead log over, and pay for its first frame here, as the ledger does."""
        self._database.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        self.commit()

    def close(self) -> None:
        self._database.close()


class IntegerKeys:
    """Twelve bytes for each 64-bit key, in a table by integer key, read back by a cached statement."""

    def __init__(self, path: Path, keys: Sequence[int]) -> None:
        self._database = apsw.Connection(str(path))
        self._database.execute("CREATE TABLE account (key INTEGER PRIMARY KEY, value BLOB)")
        with self._database:
            self._database.executemany("INSERT INTO account VALUES (?, ?)", [(key, bytes(12)) for key in keys])
        self._database.execute("PRAGMA mmap_size=268435456").fetchall()

    def lookup(self, key: int) -> bytes:
        ((value,),) = self._database.execute("SELECT value FROM account WHERE key = ?", (key,))
        assert isinstance(value, bytes)
        return value

    def close(self) -> None:
        self._database.close()
