"""A PostgreSQL server for tests, with a database for each that asks.

Nothing here outlives the tests, so nothing is flushed; what a crash does to the books is tried on SQLite.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import count

import psycopg
import pytest

from agent.bench.postgres import BINARIES, DATABASE, postgres

SETTINGS = ("fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=200")
_numbers = count(1)


class Server:
    """``new_database`` gives the URL of an empty database."""

    def __init__(self, url: str) -> None:
        self._url = url

    def new_database(self) -> str:
        name = f"books{next(_numbers)}"
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self._url.replace(f"/{DATABASE}?", f"/{name}?")

    def copied(self, url: str) -> str:
        """A copy of a database that nobody is connected to."""
        name = f"books{next(_numbers)}"
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {_name(url)}")
        return self._url.replace(f"/{DATABASE}?", f"/{name}?")

    def put_back(self, url: str, copy: str) -> None:
        """The copy in place of the database, whoever is connected to it."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {_name(url)} WITH (FORCE)")
            connection.execute(f"ALTER DATABASE {_name(copy)} RENAME TO {_name(url)}")


def _name(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """Skips the test that asks where PostgreSQL is not installed."""
    if not BINARIES:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    with postgres(*SETTINGS) as url:
        yield Server(url)
