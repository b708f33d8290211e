"""The database: one process, durable commits, everything or nothing."""

import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from backend.database import DatabaseUnavailable, open_database, transaction


def test_a_second_process_is_told_to_stop_the_first(tmp_path: Path) -> None:
    first = open_database(str(tmp_path / "backend.db"))
    with transaction(first), pytest.raises(DatabaseUnavailable, match="stop the server first"):
        open_database(str(tmp_path / "backend.db"))
    first.close()


def test_commits_are_flushed_to_disk(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "backend.db"))
    found = {name: database.execute_sql(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")}
    assert found == {"synchronous": 2, "journal_mode": "wal"}
    assert database.execute_sql("PRAGMA locking_mode").fetchone()[0] == "exclusive"
    database.close()


@pytest.mark.parametrize("damage", [b"this is no database" * 300, b""])
def test_a_file_that_is_no_database_is_refused_with_a_sentence(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "backend.db"
    path.write_bytes(damage)
    if damage:
        with pytest.raises(DatabaseUnavailable, match="cannot be opened"):
            open_database(str(path))
    else:
        open_database(str(path)).close()


def test_a_database_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "backend.db"))
    database.execute_sql("PRAGMA user_version=99")
    database.close()
    with pytest.raises(DatabaseUnavailable, match="newer version"):
        open_database(str(tmp_path / "backend.db"))


def test_a_simulator_puts_its_own_file_system_under_the_database(tmp_path: Path) -> None:
    class Counted(apsw.VFS):
        opened = 0

        def __init__(self) -> None:
            super().__init__("counted", "")

        def xOpen(self, name: object, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
            Counted.opened += 1
            return super().xOpen(name, flags)  # type: ignore[arg-type,misc]

    counted = Counted()
    open_database(str(tmp_path / "backend.db"), vfs="counted").close()
    assert counted.opened > 0


WITHOUT_DRIVER = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "psycopg" else find(name, *more)
sys.modules |= {"psycopg": None, "psycopg2": None}
import backend.cli
from backend.database import DatabaseUnavailable, open_database
open_database(sys.argv[1]).close()
try:
    open_database("postgresql://somewhere/books")
except DatabaseUnavailable as error:
    print(error)
"""


def test_a_backend_on_sqlite_needs_no_driver_of_postgresql_and_says_so_of_the_other(tmp_path: Path) -> None:
    program = [sys.executable, "-c", WITHOUT_DRIVER, str(tmp_path / "books.db")]
    said = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")
    assert "pip install -r requirements-postgresql.lock" in said.stdout
