"""The books behind one small interface, whether they lie in a SQLite file or on a PostgreSQL server.

The one rule: a transaction that somebody else was faster than is run again from its beginning, a bounded number of
times; nothing else is ever repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, TypeVar

import apsw
from peewee import EXCLUDED, Database, DataError, IntegrityError, Model, PeeweeException
from playhouse.apsw_ext import APSWDatabase
from playhouse.postgres_ext import Psycopg3Database

from backend import page as pages
from backend import postgres, sqlite_file
from backend.page import Page
from backend.schema import TABLES, VERSION

Row = TypeVar("Row", bound=Model)
Answer = TypeVar("Answer")

FAULTS: Final = (PeeweeException, apsw.Error, postgres.DriverError, OSError)
"""What a failing disk, a locked file or a lost server looks like from here."""

UNFIT: Final = (DataError, IntegrityError, apsw.ConstraintError)
"""What a row looks like that the database will not have, on whatever day: a mistake of this program, no fault of it."""

ATTEMPTS_MAX: Final = 20
"""How often a transaction is begun again. Of several that meet on one account, one always gets through."""


class DatabaseUnavailable(Exception):
    """The database cannot be opened or used; the message is a sentence for the operator."""


class Contended(Exception):
    """Somebody else changed what this transaction has read; begin again."""


def is_passing(error: Exception) -> bool:
    """Whether the same may go well another time: it is the database's trouble, or the others' who are at it."""
    return isinstance(error, (*FAULTS, Contended)) and not isinstance(error, UNFIT)


def open_database(
    where: str, *, vfs: str | None = None, sync_dir: Callable[[str], None] = sqlite_file.sync_directory
) -> Database:
    """Open, and if new create, the database and bind the tables to it. ``vfs`` and ``sync_dir`` are a simulator's.

    ``where`` is the path of a SQLite file or a ``postgresql://`` URL. Raises DatabaseUnavailable, with nothing left
    open.
    """
    on_server = where.startswith(postgres.SCHEME)
    if on_server and postgres.DRIVER is None:
        raise DatabaseUnavailable("PostgreSQL's driver is not installed: pip install -r requirements-postgresql.lock")
    database: Database = postgres.unopened(where) if on_server else sqlite_file.unopened(where, vfs)
    name = where.rpartition("@")[2] if on_server else where  # without the password
    try:
        database.connect()
        if not on_server:
            sqlite_file.seal(database, sync_dir)
        _create(database)
        if not on_server:
            sqlite_file.empty_wal(database)
    except FAULTS as error:
        close(database)
        held = "another process holds it: stop the server first" if "locked" in str(error) else str(error)
        raise DatabaseUnavailable(f"{name} cannot be opened: {held}") from error
    except DatabaseUnavailable:
        close(database)
        raise
    return database


def close(database: Database) -> None:
    """Close without complaint: a lost disk is reported by the next open."""
    try:
        if not database.is_closed():
            database.close()
    except FAULTS:
        return


def is_shared(database: Database) -> bool:
    """Whether other processes may be at the same books now."""
    return isinstance(database, Psycopg3Database)


def transaction(database: Database, *, redoable: bool = False) -> AbstractContextManager[Any]:
    """The one way to write: all of it or nothing. Inside of another one it is part of that.

    ``redoable``: what is written can be worked out again from rows that are durable already, so its commit need not
    wait for the disk. On SQLite it waits all the same: there, several share one commit (``grouped``).
    """
    if database.in_transaction():
        return nullcontext()
    if isinstance(database, APSWDatabase):
        return _typed(database.atomic("IMMEDIATE"))  # holds the write lock from its beginning
    postgres.reconnect(database)
    return _CommitLater(database) if redoable else _typed(database.atomic())


def grouped(database: Database) -> AbstractContextManager[Any]:
    """Let the transactions inside share one commit, where that is worth it and hurts nobody: on SQLite, whose commit
    costs a flush and whose one process has nobody to keep waiting. Each must be able to be lost with the others."""
    return nullcontext() if is_shared(database) else transaction(database)


def transact(database: Database, work: Callable[[], Answer], *, redoable: bool = False) -> Answer:
    """Run ``work`` in a transaction, again if somebody else was first. Raises Contended when that happens too often."""
    for _ in range(ATTEMPTS_MAX):
        try:
            with transaction(database, redoable=redoable):
                return work()
        except Contended as error:
            contended: Exception = error
        except FAULTS as error:
            if not postgres.is_contended(error):
                raise
            contended = error
        if database.in_transaction():
            raise contended  # the outer transaction is spoilt: its beginning is further out
    raise Contended(str(contended)) from contended


class Statement:
    """A query whose values are placeholders. Its text is made once for each dialect that it meets: peewee builds a
    query in the time that a database runs ten."""

    __slots__ = ("_query", "_texts", "keeps_first", "key")

    def __init__(self, query: Any, *, key: tuple[int, ...] = (), keeps_first: bool = False) -> None:
        self._query = query
        self.key = key  # of an insert: which columns are the primary key
        self.keeps_first = keeps_first
        self._texts: dict[str, str] = {}

    def text(self, database: Database) -> str:
        text = self._texts.get(database.param)
        if text is None:
            text = self._texts[database.param] = str(self._query.clone().bind(database).sql()[0])
        return text


def compiled(query: Any) -> Statement:
    """A query for ``fetch`` or ``change``; the values in it are placeholders, in their order."""
    return Statement(query)


def selecting(model: Any, *where: Any) -> Statement:
    """A select of whole rows, for ``load``; conditions compare with any value of the right type."""
    return Statement(model.select().where(*where))


def inserting(model: Any, on_conflict: str | None = None) -> Statement:
    """An insert of a whole row, for ``put``; ``on_conflict`` is REPLACE, IGNORE or nothing."""
    query = model.insert(dict.fromkeys(model._meta.sorted_field_names, 0))
    if on_conflict == "REPLACE":
        key = model._meta.get_primary_keys()
        others = [field for field in model._meta.sorted_fields if not any(field is part for part in key)]
        update = {field: getattr(EXCLUDED, field.column_name) for field in others}
        query = query.on_conflict(conflict_target=key, update=update)
    elif on_conflict == "IGNORE":
        query = query.on_conflict_ignore()
    names = model._meta.sorted_field_names
    places = tuple(names.index(field.name) for field in model._meta.get_primary_keys())
    return Statement(query, key=places, keeps_first=on_conflict == "IGNORE")


def load(model: type[Row], statement: Statement, *values: Any) -> Row | None:
    """The row that a select of whole rows finds by its primary key (in the schema's order), or None."""
    page = pages.current()
    if page is None:
        return _loaded(model, statement, values)
    if (model, values) not in page.rows:
        page.rows[model, values] = _loaded(model, statement, values)
    row: Row | None = page.rows[model, values]
    return row


def _loaded(model: type[Row], statement: Statement, values: tuple[Any, ...]) -> Row | None:
    found = fetch(statement, *values)
    if not found:
        return None
    fields = model._meta.sorted_fields
    return model(**{field.name: field.python_value(value) for field, value in zip(fields, found[0], strict=True)})


def put(model: Any, statement: Statement, values: Mapping[str, Any]) -> None:
    """Run an insert; columns that ``values`` does not name are null."""
    page = pages.current()
    if page is not None:
        page.put(model, statement, values)
        return
    _execute(statement, tuple(values.get(name) for name in model._meta.sorted_field_names))


def put_many(model: Any, statement: Statement, values: list[tuple[Any, ...]]) -> None:
    """Insert many whole rows at once; each is a tuple of all columns in the schema's order."""
    database = _bound()
    if isinstance(database, Psycopg3Database):
        postgres.insert_many(database, model, values)
    else:
        sqlite_file.insert_many(database, statement.text(database), values)


def change(statement: Statement, *values: Any) -> int:
    """Run an update; how many rows it changed."""
    return int(_bound().rows_affected(_execute(statement, values)))


def fetch(statement: Statement, *values: Any) -> list[tuple[Any, ...]]:
    """The rows of a query on the database that the tables are bound to."""
    page = pages.current()
    if page is not None and (statement, values) in page.ahead:
        return page.ahead[statement, values]
    found: list[tuple[Any, ...]] = _execute(statement, values).fetchall()
    return found


def fetch_all(questions: Sequence[tuple[Statement, tuple[Any, ...]]]) -> list[list[tuple[Any, ...]]]:
    """The rows of several queries; on a server they cost one way there and back."""
    database = _bound()
    if not is_shared(database):
        return [_execute(statement, values).fetchall() for statement, values in questions]
    with postgres.pipelined(database):
        cursors = [_execute(statement, values) for statement, values in questions]
    return [cursor.fetchall() for cursor in cursors]


@contextmanager
def on_page(questions: Iterable[tuple[Statement, tuple[Any, ...]]] = ()) -> Iterator[Page]:
    """What is written inside is written down at the end, each changed row once. To be used inside a transaction.

    ``questions`` will probably be asked: on a server, all at once now. Raises Contended, and writes nothing more, if
    an update did not find the rows that it was worked out from.
    """
    page = Page()
    if is_shared(_bound()):
        wanted = list(dict.fromkeys(questions))
        page.ahead.update(zip(wanted, fetch_all(wanted), strict=True))
    token = pages.OPEN.set(page)
    try:
        yield page
        _write_down(page)
    finally:
        pages.OPEN.reset(token)


@contextmanager
def off_page() -> Iterator[None]:
    """Write down what the open page has, and do without one inside."""
    page = pages.current()
    if page is not None:
        _write_down(page)
        page.clear()
    token = pages.OPEN.set(None)
    try:
        yield
    finally:
        pages.OPEN.reset(token)


def _write_down(page: Page) -> None:
    database = _bound()
    if is_shared(database):
        with postgres.pipelined(database):
            cursors = list(_run(database, page))
        counts = [database.rows_affected(cursor) for cursor in cursors]
    else:
        counts = [database.rows_affected(cursor) for cursor in _run(database, page)]
    for update, changed in zip(page.updates.values(), counts, strict=True):
        if update.exactly not in (None, changed):
            raise Contended(f"{changed} rows are as they were, not {update.exactly}")


def _run(database: Database, page: Page) -> Iterator[Any]:
    for update in page.updates.values():
        yield _execute(update.statement, update.values())
    for statement, (_model, rows) in page.inserts.items():
        database.cursor().executemany(statement.text(database), list(rows.values()))


def rows(query: Any) -> list[tuple[Any, ...]]:
    """The rows of a select as plain tuples, blobs as bytes: without the cost of an object for each."""
    return list(query.tuples())


def _execute(statement: Statement, values: tuple[Any, ...]) -> Any:
    database = _bound()
    return database.execute_sql(statement.text(database), values)


def _bound() -> Database:
    database: Database = TABLES[0]._meta.database
    return database


def _typed(manager: Any) -> AbstractContextManager[Any]:
    return manager  # type: ignore[no-any-return]


class _CommitLater:
    """A transaction whose commit does not wait for the disk."""

    def __init__(self, database: Psycopg3Database) -> None:
        self._database = database
        self._inner = database.atomic()

    def __enter__(self) -> None:
        self._inner.__enter__()
        postgres.commit_later(self._database)

    def __exit__(self, *error: Any) -> Any:
        return self._inner.__exit__(*error)


def _create(database: Database) -> None:
    dialect: Any = postgres if is_shared(database) else sqlite_file
    database.bind(TABLES, bind_refs=False, bind_backrefs=False)
    for table in TABLES:
        # Not inherited. A hidden row id would be a sequence that all lanes share; PostgreSQL shows none.
        table._meta.without_rowid = not is_shared(database)
    with transaction(database):
        if is_shared(database):
            postgres.lock_schema(database)
        found = dialect.version(database)
        if found > VERSION:
            raise DatabaseUnavailable(
                f"the database was written by a newer version ({found}, this one knows {VERSION})"
            )
        if 0 < found < VERSION:
            raise DatabaseUnavailable(
                f"the database was written by an older version ({found}, this one writes {VERSION})"
            )
        if found == 0:
            database.create_tables(TABLES)
            dialect.set_version(database, VERSION)
