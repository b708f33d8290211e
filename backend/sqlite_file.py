"""The backend's books in one SQLite file, so that an acknowledged commit survives a power cut.

The one rule: one connection, exclusive, and synchronous=EXTRA before journal_mode=WAL: the change of mode unlinks the
rollback journal, and an unlink lost in a power cut would bring an empty database back after acknowledged commits.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from playhouse.apsw_ext import APSWDatabase

LOCK_WAIT_S: Final = 1
"""How long to wait for another process; it holds the file for its whole life, so more would not help."""


def sync_directory(directory: str) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unopened(path: str, vfs: str | None) -> APSWDatabase:
    options: dict[str, Any] = {"vfs": vfs} if vfs else {}
    return APSWDatabase(path, thread_safe=False, autoconnect=False, timeout=LOCK_WAIT_S, **options)


def seal(database: APSWDatabase, sync_dir: Callable[[str], None]) -> None:
    """Take the file for this process alone and have every commit flushed."""
    # The last one only reads: that creates the WAL, whose name is to be durable too.
    for pragma in ("locking_mode=EXCLUSIVE", "synchronous=EXTRA", "journal_mode=WAL", "user_version"):
        database.execute_sql(f"PRAGMA {pragma}").fetchall()
    sync_dir(str(Path(database.database).parent))
    database.execute_sql("PRAGMA synchronous=FULL").fetchall()


def empty_wal(database: APSWDatabase) -> None:
    """Write again, into the database, whatever the WAL shows: after a failed sync it may show what the disk has not."""
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def version(database: APSWDatabase) -> int:
    """The version of the schema; 0: there is none yet."""
    found: int = database.execute_sql("PRAGMA user_version").fetchone()[0]
    return found


def set_version(database: APSWDatabase, number: int) -> None:
    database.execute_sql(f"PRAGMA user_version={number}")


def insert_many(database: APSWDatabase, text: str, values: list[tuple[Any, ...]]) -> None:
    database.cursor().executemany(text, values)
