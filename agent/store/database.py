"""Opening the ledger's SQLite file so that an acknowledged commit survives a power cut.

The one rule: the order below is the seal; each line was paid for by a lost database in the power-cut rig.

1. one connection, exclusive: no shared memory, and a second process gets "locked" instead of a stale view;
2. ``synchronous=EXTRA`` *before* ``journal_mode=WAL``: the conversion unlinks the rollback journal, and an unlink
   that is lost in a power cut brings an empty database back although commits were acknowledged; EXTRA syncs it;
3. a read, which creates the WAL, and then fsync of the directory, so that both files' names are durable; then
   ``synchronous=FULL``: one flush a commit;
4. no automatic checkpoint: a checkpoint inside a sale would add flushes to it; ``checkpoint`` runs in maintenance;
5. the WAL is emptied into the database at start: after a failed sync its frames may be in memory only, shown after
   the restart and gone, or worse, gone in part, after the next power cut;
6. then it is grown once and recycled, never truncated: a growing WAL costs a commit twice the time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import apsw
from peewee import DatabaseError, OperationalError
from playhouse.apsw_ext import APSWDatabase

from agent.errors import LedgerCorrupt, LedgerError, LedgerInUse, LedgerNewer, LedgerUnavailable
from agent.store.migrations import migrate
from agent.store.schema import TABLES, VERSION

LOCK_WAIT_S: Final = 1
"""A ledger is locked for as long as its process lives: who waits longer waits in vain."""
WAL_PAGES: Final = 1000
"""Pages that the WAL is grown to at start: more than a busy hour writes between two checkpoints."""


def sync_directory(directory: str) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_database(
    path: str,
    *,
    vfs: str | None = None,
    sync_dir: Callable[[str], None] = sync_directory,
    synchronous: str = "FULL",
) -> APSWDatabase:
    """Open and seal the ledger; create a new one, migrate an older one.

    ``vfs``, ``sync_dir`` and ``synchronous`` are the power-cut rig's.

    Raises LedgerInUse, LedgerCorrupt, LedgerNewer or LedgerUnavailable, with nothing left open.
    """
    options: dict[str, Any] = {"vfs": vfs} if vfs else {}
    database = APSWDatabase(path, thread_safe=False, autoconnect=False, timeout=LOCK_WAIT_S, **options)
    try:
        database.connect()
        _seal(database, path, sync_dir, synchronous)
        found = database.execute_sql("PRAGMA user_version").fetchone()[0]
        if found == 0:
            _create(database)
        elif found < VERSION:
            migrate(database, path, found, vfs=vfs, sync=lambda: sync_dir(str(Path(path).parent)))
        elif found > VERSION:
            raise LedgerNewer(f"{path} is of version {found}; this program knows versions up to {VERSION}.")
        empty_wal(database)
    except (DatabaseError, apsw.Error, OSError, LedgerError) as error:
        close_quietly(database)
        raise _fault(path, error) from error
    return database


def _seal(database: APSWDatabase, path: str, sync_dir: Callable[[str], None], synchronous: str) -> None:
    for pragma in ("locking_mode=EXCLUSIVE", "synchronous=EXTRA", "journal_mode=WAL", "user_version"):
        database.execute_sql(f"PRAGMA {pragma}").fetchall()
    sync_dir(str(Path(path).parent))
    for pragma in (f"synchronous={synchronous}", "wal_autocheckpoint=0", "foreign_keys=OFF", "cache_size=-8192"):
        database.execute_sql(f"PRAGMA {pragma}").fetchall()


def _create(database: APSWDatabase) -> None:
    with database.atomic("IMMEDIATE"), database.bind_ctx(TABLES, bind_refs=False, bind_backrefs=False):
        database.create_tables(TABLES)
        database.execute_sql(f"PRAGMA user_version={VERSION}")


def empty_wal(database: APSWDatabase) -> None:
    """Write again, into the database, whatever the WAL shows, and leave no older frame behind that could shadow it."""
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def presize_wal(database: APSWDatabase, pages: int = WAL_PAGES) -> None:
    """Grow the WAL once, by a transaction that leaves nothing behind, and start it over."""
    size = database.execute_sql("PRAGMA page_size").fetchone()[0]
    with database.atomic("IMMEDIATE"):
        database.execute_sql("DROP TABLE IF EXISTS presize")  # a power cut may have left it behind
        database.execute_sql("CREATE TABLE presize (page BLOB)")
        database.execute_sql("INSERT INTO presize VALUES (zeroblob(?))", (size * pages,))
    with database.atomic("IMMEDIATE"):
        database.execute_sql("DROP TABLE presize")
    checkpoint(database)


def checkpoint(database: APSWDatabase) -> None:
    """Move what is in the WAL into the database and recycle it; never inside a sale."""
    database.execute_sql("PRAGMA wal_checkpoint(RESTART)").fetchall()


def close_quietly(database: APSWDatabase) -> None:
    try:
        if not database.is_closed():
            database.close()
    except (DatabaseError, apsw.Error):
        return  # closing is not where a lost disk is reported: the next open says what is wrong


def _fault(path: str, error: Exception) -> Exception:
    cause = error.__cause__ or error.__context__ or error  # peewee re-raises without naming the cause
    if isinstance(error, LedgerError):
        return error
    if isinstance(cause, apsw.BusyError | apsw.LockedError) or "locked" in str(error):
        return LedgerInUse(f"{path} is held by another process")
    if isinstance(cause, apsw.CorruptError | apsw.NotADBError):
        return LedgerCorrupt(f"{path}: {error}")
    what = "cannot be written" if isinstance(error, OperationalError) else "cannot be opened"
    return LedgerUnavailable(f"{path} {what}: {error}")
