"""A ledger that an earlier version wrote is opened by this one: nothing is lost, whatever happens meanwhile."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest

from agent.core.forwarding import Cursor
from agent.core.journal import Position
from agent.ports import QueueException
from agent.simulation.disk import Disk, DiskVfs, Survivors
from agent.simulation.recovery import PATH, open_ledger
from agent.store.ledger import SqliteLedger
from agent.store.migrations import STEPS, copy_path
from agent.store.schema import TABLES, VERSION

VERSION_1 = (Path(__file__).parent / "ledger_v1.sql").read_text()
"""A lane's day as version 1 wrote it: 20 entries, 9 sales, 8 slips, one of each local fact."""

Rows = dict[str, list[tuple[Any, ...]]]


def rows_of(connection: apsw.Connection) -> Rows:
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite%'")
    return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names.fetchall()}


def written_by_version_1(vfs: str | None, path: str) -> Rows:
    connection = apsw.Connection(path, vfs=vfs)
    connection.execute(VERSION_1)
    rows = rows_of(connection)
    connection.close()
    return rows


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path / "ledger.db")


def shape_of(ledger: SqliteLedger) -> dict[str, Any]:
    return {
        model._meta.table_name: ledger._db.execute_sql(f"PRAGMA table_info({model._meta.table_name})").fetchall()
        for model in TABLES
    }


FOLDED_ANEW = ("chain_head", "consumed_proof")
"""Version 3 tells lenders apart in them; ``verify`` compares them with the journal."""


def is_kept(before: Rows, ledger: SqliteLedger) -> bool:
    after = rows_of(ledger._db.connection())
    kept = {name: old for name, old in before.items() if old and name not in FOLDED_ANEW}
    return all(set(old) <= {row[: len(old[0])] for row in after[name]} for name, old in kept.items())


def test_proofs_and_horizons_of_version_1_are_those_of_its_lender(path: str) -> None:
    before = written_by_version_1(None, path)
    (_, _, _, _, _, horizon_s), *_ = before["chain_head"]
    ledger = SqliteLedger.open(path, wal_pages=0)
    assert dict(ledger.head.horizons) == {"lender-1": horizon_s}
    assert all(ledger.proof_is_consumed("lender-1", account, cti) for account, cti, _ in before["consumed_proof"])
    assert not any(ledger.proof_is_consumed("lender-2", account, cti) for account, cti, _ in before["consumed_proof"])
    ledger.close()


def test_every_version_has_a_step_from_the_one_before() -> None:
    assert sorted(STEPS) == list(range(2, VERSION + 1))


def test_a_ledger_of_version_1_loses_nothing_and_goes_on(path: str) -> None:
    before = written_by_version_1(None, path)
    ledger = SqliteLedger.open(path, wal_pages=0)
    assert is_kept(before, ledger)
    assert ledger.verify().position == Position(1, 20)
    assert ledger.cursor(1) == Cursor(9, 7)
    assert ledger.queue_exceptions() == (QueueException(Position(1, 5), "disputed", "lease_exceeded"),)
    assert ledger.document("lender-1", "policy") == (3, b"policy three")
    assert ledger.policy_of_version("lender-1", 3) == b"policy three"
    assert len(ledger.recent_sales(100)) == 9
    assert is_kept(before, ledger), "the caches of version 1 are what this version folds"
    ledger.close()


def test_a_migrated_ledger_has_the_shape_of_a_new_one(path: str, tmp_path: Path) -> None:
    written_by_version_1(None, path)
    migrated = SqliteLedger.open(path, wal_pages=0)
    new = SqliteLedger.open(str(tmp_path / "new.db"), wal_pages=0)
    assert shape_of(migrated) == shape_of(new)
    migrated.close()
    new.close()


def test_the_ledger_as_it_was_lies_beside_it(path: str) -> None:
    before = written_by_version_1(None, path)
    SqliteLedger.open(path, wal_pages=0).close()
    copy = apsw.Connection(copy_path(path, 1))
    assert copy.execute("PRAGMA user_version").fetchone() == (1,)
    assert rows_of(copy) == before
    copy.close()


@pytest.mark.parametrize("survivors", list(Survivors))
def test_a_power_cut_at_any_moment_of_a_migration_loses_nothing(survivors: Survivors) -> None:
    """The old version or the new one, never something between; and the next start brings it to the end."""
    vfs, images = DiskVfs(Disk()), []
    before = written_by_version_1(vfs.name, PATH)
    vfs.disk.sync_names()
    vfs.disk = Disk(vfs.disk.after_kill())
    vfs.disk.after = lambda _: images.append(vfs.disk.after_power_cut(survivors, Random(len(images))))
    open_ledger(vfs).close()
    assert len(images) > 20
    for image in images:
        vfs.disk = Disk(image)
        ledger = open_ledger(vfs)
        assert ledger._db.execute_sql("PRAGMA user_version").fetchone() == (VERSION,)
        assert is_kept(before, ledger)
        assert ledger.verify().position == Position(1, 20)
        ledger.close()
