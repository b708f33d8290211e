"""The ledger: what it acknowledged is there, what it refused is not, and one process at a time owns it."""

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.authorization import HoldRefused
from agent.core.journal import GENESIS_HASH, Draft, Head, JournalError, Kind, Position
from agent.core.situation import Totals
from agent.core.trusted_time import ClockReading
from agent.errors import LedgerCorrupt, LedgerInUse, LedgerNewer, LedgerUnavailable, LedgerUnknownOutcome
from agent.ports import PrintMark, Slip
from agent.simulation.disk import Disk, DiskVfs
from agent.simulation.ledger_day import LedgerDay
from agent.simulation.recovery import content_of, open_ledger
from agent.store.ledger import SqliteLedger
from agent.store.schema import FOLD
from drivers.document import Document, Text

NOW_S = 1_800_000_000
READING = ClockReading(NOW_S, True, "signed")
CACHES = tuple(model._meta.table_name for model in FOLD)
SLIP = Slip(Document((Text("approved"),), "en"), NOW_S + 900, "shoplend", "sale-0001", 1)


class Bench:
    """A ledger on a disk in memory, and a reopening of what a kill left of it."""

    def __init__(self) -> None:
        self.vfs = DiskVfs(Disk())
        self.ledger = open_ledger(self.vfs)

    def begin(self) -> SqliteLedger:
        self.ledger.start_epoch("lane-01", 1, Draft(Kind.EPOCH_START, {"reason": "test"}), READING)
        return self.ledger

    def reopen(self) -> SqliteLedger:
        self.vfs.disk.process_is_dead = True
        self.ledger.close()
        self.vfs.disk = Disk(self.vfs.disk.after_kill())
        self.ledger = open_ledger(self.vfs)
        return self.ledger


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.ledger.close()


def authorization(sale_id: str = "sale-0001", minor: int = 300, **fields: Any) -> Draft:
    body: dict[str, Any] = {
        "amount_minor": minor,
        "currency": "CNY",
        "account": b"a" * 16,
        "capture": "later",
        "cti": sale_id.encode()[-8:],
        "response_code": "00",
        "reason": "approved_offline",
        "funding": "lease",
        "lease": {"epoch": 1, "delta_minor": minor},
    }
    return Draft(Kind.AUTHORIZATION, body | fields, "shoplend", sale_id, 1)


def capture(sale_id: str = "sale-0001", minor: int = 300) -> Draft:
    return Draft(Kind.CAPTURE, {"amount_minor": minor, "currency": "CNY"}, "shoplend", sale_id, 1)


def test_a_record_is_one_flush_however_much_it_holds(bench: Bench) -> None:
    ledger, syncs = bench.begin(), []
    bench.vfs.disk.before = lambda what: syncs.append(what) if what.startswith("sync") else None
    ledger.record([authorization(), capture()], READING, slip=SLIP)
    assert syncs == ["sync"]


@pytest.mark.parametrize("again", [False, True])
def test_what_was_recorded_is_there_with_all_that_goes_with_it(bench: Bench, again: bool) -> None:
    first = bench.begin().record([authorization(), capture()], READING, slip=SLIP)
    ledger = bench.reopen() if again else bench.ledger
    assert ledger.head == Head("lane-01", 1, 3, first[-1].hash, {"shoplend": NOW_S})
    assert ledger.sale_entries("sale-0001") == first
    assert ledger.spent_after("shoplend", b"a" * 16, Position(1, 0)) == 300
    assert ledger.spent_after("shoplend", b"a" * 16, Position(1, 2)) == 0
    assert ledger.stand_in_totals("shoplend", "account", b"a" * 16, NOW_S - 60) == Totals(1, 300)
    assert ledger.proof_is_consumed("shoplend", b"a" * 16, b"ale-0001")
    assert not ledger.proof_is_consumed("other", b"a" * 16, b"ale-0001"), "a token is one lender's"
    assert [(job.state, job.slip) for job in ledger.print_jobs("sale-0001")] == [("queued", SLIP)]


def test_an_entry_that_does_not_fit_leaves_nothing_of_its_whole_record(bench: Bench) -> None:
    ledger = bench.begin()
    before, head = content_of(ledger), ledger.head
    with pytest.raises(HoldRefused):
        ledger.record([authorization(), capture(), capture()], READING, slip=SLIP)
    assert (content_of(ledger), ledger.head) == (before, head)
    ledger.record([authorization()], READING)
    assert ledger.verify() == ledger.head


@pytest.mark.parametrize("nth", [1])
def test_a_fault_at_the_commit_is_unknown_and_the_ledger_refuses_until_it_is_opened_again(
    bench: Bench, nth: int
) -> None:
    ledger = bench.begin()

    def fails(what: str) -> None:
        if what == "sync":
            raise apsw.IOError("the disk is gone")

    bench.vfs.disk.before = fails
    with pytest.raises(LedgerUnknownOutcome):
        ledger.record([authorization()], READING, slip=SLIP)
    bench.vfs.disk.before = lambda _: None
    assert ledger.failed
    for refused in (
        lambda: ledger.record([authorization("sale-0002")], READING),
        lambda: ledger.attempts("sale-0001"),
        lambda: ledger.spent_after("shoplend", b"a" * 16, Position(1, 0)),
        lambda: ledger.mark_print_job(PrintMark(1, "printed")),
        lambda: ledger.maintain({"shoplend": NOW_S}),
    ):
        with pytest.raises(LedgerUnavailable):
            refused()
    ledger = bench.reopen()
    assert ledger.failed is None
    assert ledger.head.number == 1 + len(ledger.attempts("sale-0001")) == 1 + len(ledger.print_jobs("sale-0001"))
    assert ledger.verify() == ledger.head


def test_a_full_disk_before_the_commit_records_nothing_and_says_so(bench: Bench) -> None:
    ledger = bench.begin()

    def full(what: str) -> None:
        if what == "write":
            raise apsw.FullError("the disk is full")

    bench.vfs.disk.before = full
    with pytest.raises((LedgerUnavailable, LedgerUnknownOutcome)):
        ledger.record([authorization()], READING)
    bench.vfs.disk.before = lambda _: None
    ledger = bench.reopen()
    assert (ledger.head.number, ledger.attempts("sale-0001")) == (1, ())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_after_any_day_the_caches_are_what_the_journal_says(seed: int, calls: int) -> None:
    bench = Bench()
    day = LedgerDay(Random(seed))
    for _ in range(calls):
        _, call = day.next_call(bench.ledger)
        call(bench.ledger)
    caches, head = content_of(bench.ledger, CACHES), bench.ledger.head
    assert bench.ledger.verify() == head
    assert content_of(bench.ledger, CACHES) == caches
    assert bench.reopen().head == head
    bench.ledger.close()


TAMPERINGS = {
    "an entry is gone": "DELETE FROM journal_entry WHERE number = 3",
    "the last entry is gone": "DELETE FROM journal_entry WHERE number = 5",
    "all entries are gone": "DELETE FROM journal_entry",
    "an amount was changed": "UPDATE journal_entry SET data = replace_amount(data) WHERE number = 2",
    "the last amount was changed": "UPDATE journal_entry SET data = replace_amount(data) WHERE number = 4",
    "the head was moved back": "UPDATE chain_head SET number = 4",
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_a_verification_finds_that(bench: Bench, what: str) -> None:
    ledger = bench.begin()
    ledger.record([authorization("sale-0001"), authorization("sale-0002")], READING)
    ledger.record([capture("sale-0001"), Draft(Kind.PRINT, {"job_id": 1}, "shoplend", "sale-0001", 1)], READING)
    assert ledger.verify() == ledger.head
    database: Any = ledger._db
    database.connection().create_scalar_function(
        "replace_amount", lambda data: data.replace(b"\x19\x01\x2c", b"\x19\x01\x2d")
    )
    database.execute_sql(TAMPERINGS[what])
    with pytest.raises((JournalError, LedgerCorrupt)):  # what is wrong at its end is seen when it is opened
        bench.reopen().verify()


def test_a_damaged_page_ends_the_ledger_until_it_is_opened_again(bench: Bench) -> None:
    """Promise 7: what a damaged ledger answers cannot be told from what it lost."""
    ledger = bench.begin()
    with pytest.raises(LedgerCorrupt), ledger._faults():
        raise apsw.CorruptError("database disk image is malformed")
    assert ledger.failed
    with pytest.raises(LedgerUnavailable):
        ledger.attempts("sale-0001")


def test_a_ledger_before_its_first_epoch_is_whole_and_empty(bench: Bench) -> None:
    assert bench.ledger.verify() == bench.ledger.head == Head("", 0, 0, GENESIS_HASH, {})


def test_a_new_epoch_starts_at_one_and_keeps_the_horizon_and_what_was_spent(bench: Bench) -> None:
    ledger = bench.begin()
    ledger.record([authorization()], READING)
    ledger.start_epoch("lane-01", 2, Draft(Kind.EPOCH_START, {}), ClockReading(NOW_S - 50, False, "untrusted"))
    assert (ledger.head.position, ledger.head.horizons) == (Position(2, 1), {"shoplend": NOW_S})
    assert ledger.spent_after("shoplend", b"a" * 16, Position(1, 1)) == 300
    assert ledger.verify() == ledger.head
    with pytest.raises(AssertionError):
        ledger.start_epoch("lane-01", 2, Draft(Kind.EPOCH_START, {}), READING)


def test_proofs_are_forgotten_only_when_they_can_no_longer_be_fresh(bench: Bench) -> None:
    ledger = bench.begin()
    ledger.record([authorization()], READING)
    ledger.maintain({"shoplend": NOW_S + 7 * 86_400, "other": NOW_S + 700 * 86_400})
    assert ledger.proof_is_consumed("shoplend", b"a" * 16, b"ale-0001"), "another lender's clock opens no door"
    ledger.maintain({"shoplend": NOW_S + 7 * 86_400 + 1})
    assert not ledger.proof_is_consumed("shoplend", b"a" * 16, b"ale-0001")


def test_recent_sales_are_the_newest_first_each_with_its_last_attempt(bench: Bench) -> None:
    ledger = bench.begin()
    for number in range(5):
        ledger.record([authorization(f"sale-000{number}")], READING)
    ledger.record([capture("sale-0000")], READING)
    assert [hold.sale_id for hold in ledger.recent_sales(3)] == ["sale-0004", "sale-0003", "sale-0002"]


# -- files ----------------------------------------------------------------------------------------------------------


def test_a_second_process_is_told_that_the_ledger_is_in_use(tmp_path: Path) -> None:
    first = SqliteLedger.open(str(tmp_path / "ledger.db"), wal_pages=0)
    with pytest.raises(LedgerInUse):
        SqliteLedger.open(str(tmp_path / "ledger.db"), wal_pages=0)
    first.close()
    SqliteLedger.open(str(tmp_path / "ledger.db"), wal_pages=0).close()


def test_a_file_that_is_no_ledger_is_named_corrupt_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this is not a database, but it is long enough to be one" * 100)
    with pytest.raises(LedgerCorrupt):
        SqliteLedger.open(str(path), wal_pages=0)
    assert path.read_bytes().startswith(b"this is not")


def test_a_ledger_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.db")
    SqliteLedger.open(path, wal_pages=0).close()
    connection = apsw.Connection(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(LedgerNewer, match="version 99; this program knows versions up to"):
        SqliteLedger.open(path, wal_pages=0)


def test_a_directory_that_is_not_there_is_a_typed_fault(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable):
        SqliteLedger.open(str(tmp_path / "missing" / "ledger.db"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_a_typed_fault(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(LedgerUnavailable):
            SqliteLedger.open(str(tmp_path / "ledger.db"))
    finally:
        tmp_path.chmod(0o700)


def test_a_ledger_opens_with_the_seal_that_a_power_cut_does_not_break(tmp_path: Path) -> None:
    ledger = SqliteLedger.open(str(tmp_path / "ledger.db"))
    database: Any = ledger._db
    said = {
        name: database.execute_sql(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "locking_mode", "wal_autocheckpoint")
    }
    assert said == {"journal_mode": "wal", "synchronous": 2, "locking_mode": "exclusive", "wal_autocheckpoint": 0}
    size = (tmp_path / "ledger.db-wal").stat().st_size
    ledger.start_epoch("lane-01", 1, Draft(Kind.EPOCH_START, {}), READING)
    ledger.record([authorization()], READING)
    assert (tmp_path / "ledger.db-wal").stat().st_size == size, "the WAL was grown once, at the start"
    ledger.close()
