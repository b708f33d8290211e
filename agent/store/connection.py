"""The ledger's one connection: how it reads, how it commits, and what becomes of it when the disk fails.

The one rule: an error at COMMIT means *unknown*, not failed. Everything is refused from then on, until the ledger is
opened again and the sale is looked up by its id.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw
from peewee import DatabaseError, Query
from playhouse.apsw_ext import APSWDatabase

from agent.errors import LedgerCorrupt, LedgerError, LedgerUnavailable, LedgerUnknownOutcome
from agent.store import fold


class LedgerConnection:
    """What every part of the ledger stands on. ``_run`` executes compiled SQL, without the ORM's cost."""

    def __init__(self, database: APSWDatabase) -> None:
        self._db = database
        self._run: fold.Run = database.connection().execute
        self._failed: str | None = None

    @property
    def failed(self) -> str | None:
        """Why this ledger refuses everything until it is opened again; the process should end then."""
        return self._failed

    def _query(self, query: Query) -> list[Any]:
        with self._faults():
            rows: list[Any] = self._db.execute(query).fetchall()
            return rows

    def _read(self, sql: str, values: tuple[Any, ...]) -> Any:
        if self._failed is not None:
            raise LedgerUnavailable(self._failed)
        try:
            return self._run(sql, values)
        except (DatabaseError, apsw.Error) as error:
            raise LedgerUnavailable(str(error)) from error

    @contextmanager
    def _faults(self) -> Iterator[None]:
        if self._failed is not None:
            raise LedgerUnavailable(self._failed)
        try:
            yield
        except (DatabaseError, apsw.Error) as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> LedgerError:
        """A ledger that is damaged is not asked again: what it answers cannot be told from what it lost."""
        cause = error.__cause__ or error.__context__ or error
        if isinstance(cause, apsw.CorruptError | apsw.NotADBError):
            self._failed = f"the ledger is damaged ({error})"
            return LedgerCorrupt(self._failed)
        return LedgerUnavailable(str(error))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._faults():
            self._run("BEGIN IMMEDIATE", ())
        try:
            yield
        except BaseException as error:
            self._roll_back()
            if isinstance(error, DatabaseError | apsw.Error):
                raise self._fault(error) from error
            raise
        try:
            self._run("COMMIT", ())
        except (DatabaseError, apsw.Error) as error:
            self._failed = f"a commit failed ({error}); open the ledger again"
            raise LedgerUnknownOutcome(str(error)) from error

    def _roll_back(self) -> None:
        try:
            self._run("ROLLBACK", ())
        except (DatabaseError, apsw.Error) as error:
            self._failed = f"a rollback failed ({error}); open the ledger again"
