"""Opening the ledger's file: whatever goes wrong there has a name, and nothing is left open."""

from pathlib import Path

import apsw
import pytest
from peewee import DatabaseError, OperationalError

from agent.errors import LedgerCorrupt, LedgerInUse, LedgerUnavailable
from agent.store.database import _fault, close_quietly, open_database
from agent.store.schema import VERSION


def wrapped(outer: type[Exception], cause: Exception) -> Exception:
    """An exception as peewee raises it: SQLite's own is its context, not its cause."""
    try:
        try:
            raise cause
        except Exception:
            raise outer(str(cause))  # noqa: B904
    except Exception as error:
        return error


FAULTS = [
    (wrapped(OperationalError, apsw.BusyError("database is locked")), LedgerInUse),
    (wrapped(OperationalError, apsw.LockedError("locked")), LedgerInUse),
    (wrapped(DatabaseError, apsw.NotADBError("file is not a database")), LedgerCorrupt),
    (wrapped(DatabaseError, apsw.CorruptError("malformed")), LedgerCorrupt),
    (wrapped(OperationalError, apsw.CantOpenError("unable to open")), LedgerUnavailable),
    (wrapped(OperationalError, apsw.ReadOnlyError("read only")), LedgerUnavailable),
    (wrapped(OperationalError, apsw.FullError("disk is full")), LedgerUnavailable),
    (apsw.IOError("disk I/O error"), LedgerUnavailable),
    (PermissionError("no"), LedgerUnavailable),
]


@pytest.mark.parametrize(("error", "fault"), FAULTS, ids=[repr(error.__context__ or error) for error, _ in FAULTS])
def test_each_fault_of_the_file_has_its_name(error: Exception, fault: type[Exception]) -> None:
    assert type(_fault("/lane.db", error)) is fault


def test_what_was_written_before_a_crash_is_in_the_database_after_the_next_start(tmp_path: Path) -> None:
    """A WAL that a failed sync left in memory only must not be shown today and gone tomorrow."""
    path = str(tmp_path / "ledger.db")
    close_quietly(open_database(path))
    database = open_database(path)
    assert (tmp_path / "ledger.db-wal").stat().st_size == 0
    close_quietly(database)
    close_quietly(database)


def test_opening_twice_creates_once(tmp_path: Path) -> None:
    for _ in range(2):
        database = open_database(str(tmp_path / "ledger.db"))
        assert database.execute_sql("PRAGMA user_version").fetchone() == (VERSION,)
        close_quietly(database)
