"""The backend's books on a PostgreSQL server, for several processes at once; each thread has a connection of its own.

The one rule: transactions run at REPEATABLE READ. A row that somebody else has changed since this transaction began
cannot be changed (the first updater wins, the other is told to begin again), so nothing is ever computed from a figure
that is no longer there. READ COMMITTED would let a posting write a hold that it read before an online answer wrote the
same one, and the answer's money would belong to no hold. What spans several rows of an account (promise 4) is guarded
by the account's revision, which every such transaction changes; so SERIALIZABLE would only add refusals.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import Any, Final

from peewee import Model
from playhouse.postgres_ext import Psycopg3Database

DRIVER: Final = find_spec("psycopg")
"""None where PostgreSQL's driver is not installed: a backend on SQLite does without."""

if DRIVER:
    from psycopg import Error

    DriverError: type[Exception] = Error
else:

    class _NoDriver(Exception):
        """Never raised: there is no driver."""

    DriverError = _NoDriver


SCHEME: Final = "postgresql://"
ISOLATION: Final = "REPEATABLE READ"
CONNECT_WAIT_S: Final = 5
SCHEMA_LOCK: Final = 0x434F5546
"""Key of the advisory lock under which one of several new processes creates the tables."""

CONTENDED: Final = frozenset({"40001", "40P01", "23505", "26000"})
"""serialization_failure, deadlock_detected, unique_violation (PostgreSQL, appendix A): somebody else was first.
invalid_sql_statement_name: a pipeline of this connection was cut short before the server had prepared a statement that
the driver believes prepared; the rollback makes the driver forget all of them."""


def unopened(url: str) -> Psycopg3Database:
    """``postgresql://user:password@host:port/database`` (libpq's URIs, section 34.1.1.2 of PostgreSQL's manual)."""
    return Psycopg3Database(
        url, isolation_level=ISOLATION, connect_timeout=CONNECT_WAIT_S, application_name="counterfoil-backend"
    )


def is_contended(error: BaseException) -> bool:
    """Whether the transaction failed only because another one was first, so that it can be run again."""
    cause = getattr(error, "orig", error)  # peewee keeps the driver's own exception
    return isinstance(cause, DriverError) and getattr(cause, "sqlstate", None) in CONTENDED


def reconnect(database: Psycopg3Database) -> None:
    """A new connection for this thread, if the server has dropped the one it had."""
    if not database.is_closed() and database.connection().closed:
        database.close()


def pipelined(database: Psycopg3Database) -> AbstractContextManager[Any]:
    """Statements inside go out together, and their answers come back together: one way there and back for all."""
    pipeline: AbstractContextManager[Any] = database.connection().pipeline()
    return pipeline


def lock_schema(database: Psycopg3Database) -> None:
    database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))


def version(database: Psycopg3Database) -> int:
    """The version of the schema; 0: there is none yet."""
    if not database.table_exists("schema_version"):
        return 0
    found: int = database.execute_sql("SELECT number FROM schema_version").fetchone()[0]
    return found


def set_version(database: Psycopg3Database, number: int) -> None:
    database.execute_sql("CREATE TABLE schema_version (number integer NOT NULL)")
    database.execute_sql("INSERT INTO schema_version VALUES (%s)", (number,))


def commit_later(database: Psycopg3Database) -> None:
    """Let this transaction's commit return before it is flushed: a crash may undo it whole, and it can be redone."""
    database.execute_sql("SET LOCAL synchronous_commit = off")


def insert_many(database: Psycopg3Database, model: type[Model], values: list[tuple[Any, ...]]) -> None:
    """COPY: one statement for all rows."""
    names = ", ".join(f'"{field.column_name}"' for field in model._meta.sorted_fields)
    statement = f'COPY "{model._meta.table_name}" ({names}) FROM STDIN'
    with database.cursor().copy(statement) as copy:
        for row in values:
            copy.write_row(row)
