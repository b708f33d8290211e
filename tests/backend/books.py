"""Where the books of a test lie: every test that asks for them runs on a SQLite file and on a PostgreSQL database."""

import atexit
import contextlib
import functools
from pathlib import Path

import pytest

from tests.backend import postgres_server

__all__ = ["books"]


@pytest.fixture(params=["sqlite", "postgresql"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What `open_database` takes: an empty place of this test's own."""
    return str(tmp_path / "backend.db") if request.param == "sqlite" else postgres().new_database()


@functools.cache
def postgres() -> postgres_server.Server:
    """One server for the whole run, started when it is first asked for."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(postgres_server.running())
