"""Opening the backend's SQLite file so that an acknowledged commit survives a power cut.

The one rule: one connection, exclusive, and synchronous=EXTRA before journal_mode=WAL: the change of mode unlinks the
rollback journal, and an unlink lost in a power cut would bring an empty database back after acknowledged commits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
from peewee import Model, PeeweeException
from playhouse.apsw_ext import APSWDatabase

from backend.schema import TABLES, VERSION

Row = TypeVar("Row", bound=Model)

FAULTS: Final = (PeeweeException, apsw.Error, OSError)
"""What a failing disk or a locked file looks like from here."""


LOCK_WAIT_S: Final = 1
"""How long to wait for another process; it holds the file for its whole life, so more would not help."""


class DatabaseUnavailable(Exception):
    """The database cannot be opened or used; the message is a sentence for the operator."""


def sync_directory(directory: str) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_database(
    path: str, *, vfs: str | None = None, sync_dir: Callable[[str], None] = sync_directory
) -> APSWDatabase:
    """Open, and if new create, the database and bind the tables to it. ``vfs`` and ``sync_dir`` are a simulator's.

    Raises DatabaseUnavailable, with nothing left open.
    """
    options: dict[str, Any] = {"vfs": vfs} if vfs else {}
    database = APSWDatabase(path, thread_safe=False, autoconnect=False, timeout=LOCK_WAIT_S, **options)
    try:
        database.connect()
        _seal(database, path, sync_dir)
        _create(database)
        _empty_wal(database)
    except FAULTS as error:
        close(database)
        held = "another process holds it: stop the server first" if "locked" in str(error) else str(error)
        raise DatabaseUnavailable(f"{path} cannot be opened: {held}") from error
    return database


def _empty_wal(database: APSWDatabase) -> None:
    """Write again, into the database, whatever the WAL shows: after a failed sync it may show what the disk has not."""
    database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def transaction(database: APSWDatabase) -> AbstractContextManager[Any]:
    """The one way to write: a transaction that holds the write lock from its beginning."""
    manager: AbstractContextManager[Any] = database.atomic("IMMEDIATE")
    return manager


def rows(query: Any) -> list[tuple[Any, ...]]:
    """The rows of a select as plain tuples, blobs as bytes: without the cost of an object for each."""
    return list(query.tuples())


def compiled(query: Any) -> str:
    """The text of a query whose values are placeholders, for ``fetch``."""
    text: str = query.sql()[0]
    return text


def selecting(model: Any, *where: Any) -> str:
    """The compiled select of whole rows, for ``load``; conditions compare with any value of the right type."""
    return compiled(model.select().where(*where))


def inserting(model: Any, on_conflict: str | None = None) -> str:
    """The compiled insert of a whole row, for ``put``; ``on_conflict`` is REPLACE, IGNORE or nothing."""
    query = model.insert(dict.fromkeys(model._meta.sorted_field_names, 0))
    return compiled(query.on_conflict(on_conflict) if on_conflict else query)


def load(model: type[Row], text: str, *values: Any) -> Row | None:
    """The row that a compiled select of whole rows finds by a unique key, or None."""
    found = fetch(text, *values)
    if not found:
        return None
    fields = model._meta.sorted_fields
    return model(**{field.name: field.python_value(value) for field, value in zip(fields, found[0], strict=True)})


def put(model: Any, text: str, values: Mapping[str, Any]) -> None:
    """Run a compiled insert; columns that ``values`` does not name are null."""
    fetch(text, *(values.get(name) for name in model._meta.sorted_field_names))


def change(text: str, *values: Any) -> int:
    """Run a compiled update; how many rows it changed."""
    database = TABLES[0]._meta.database
    return int(database.rows_affected(database.execute_sql(text, values)))


def fetch(text: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows of a compiled query on the database that the tables are bound to."""
    found: list[tuple[Any, ...]] = TABLES[0]._meta.database.execute_sql(text, values).fetchall()
    return found


def close(database: APSWDatabase) -> None:
    """Close without complaint: a lost disk is reported by the next open."""
    try:
        if not database.is_closed():
            database.close()
    except FAULTS:
        return


def _seal(database: APSWDatabase, path: str, sync_dir: Callable[[str], None]) -> None:
    # The last one only reads: that creates the WAL, whose name is to be durable too.
    for pragma in ("locking_mode=EXCLUSIVE", "synchronous=EXTRA", "journal_mode=WAL", "user_version"):
        database.execute_sql(f"PRAGMA {pragma}").fetchall()
    sync_dir(str(Path(path).parent))
    database.execute_sql("PRAGMA synchronous=FULL").fetchall()


def _create(database: APSWDatabase) -> None:
    found = database.execute_sql("PRAGMA user_version").fetchone()[0]
    if found > VERSION:
        raise DatabaseUnavailable(f"the database was written by a newer version ({found}, this one knows {VERSION})")
    database.bind(TABLES, bind_refs=False, bind_backrefs=False)
    for table in TABLES:
        table._meta.without_rowid = True  # not inherited; a hidden row id would be a sequence that all lanes share
    if found == 0:
        with transaction(database):
            database.create_tables(TABLES)
            database.execute_sql(f"PRAGMA user_version={VERSION}")
