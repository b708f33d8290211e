"""The database: one process, durable commits, everything or nothing."""

from pathlib import Path

import apsw
import pytest

from backend.database import DatabaseUnavailable, open_database, transaction
from backend.schema import Account
from tests.backend.lanes import LENDER, Shop


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


def test_an_upload_that_fails_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend import ingest

    shop = Shop.open(tmp_path, 1_000, lanes="A")
    lane = shop.lanes["A"]
    first = lane.stand_in(10, funding="cap")
    lane.capture(10, first)
    real = ingest._store

    def dies_at_the_second(sealed: object, books: object) -> object:
        if sealed.entry.number == 2:  # type: ignore[attr-defined]
            raise OSError("power cut")
        return real(sealed, books)  # type: ignore[arg-type]

    monkeypatch.setattr(ingest, "_store", dies_at_the_second)
    with pytest.raises(OSError, match="power cut"):
        lane.upload()
    monkeypatch.undo()
    assert shop.account().cap_minor == 0
    shop.backend.database.close()
    database = open_database(str(tmp_path / "backend.db"))
    assert Account.get(Account.lender == LENDER).limit_minor == 1_000
    assert lane.sent == 0
    database.close()
