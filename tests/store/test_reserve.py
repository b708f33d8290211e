"""A full disk, a real one: no sale is begun, every book is closed, and when there is room again the lane sells."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.core.authorization import HoldState
from agent.core.journal import Kind
from agent.errors import DiskFull, LedgerError
from agent.store.ledger import SqliteLedger
from agent.store.reserve import Reserve
from agent.texts import LANGUAGES, text
from tests.services.lanes import LENDER, Till, approved, order
from tests.uplink.world import run

MB = 2**20
DISK_BYTES, RESERVE_BYTES, FULL_BYTES, STAND_IN_BYTES = 12 * MB, 2 * MB, MB, 4 * MB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "counterfoil-test", place],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


class Others:
    """Whatever else writes to this disk."""

    def __init__(self, disk: Path) -> None:
        self.file = disk / "somebody-elses.log"

    def leave(self, free_bytes: int) -> None:
        at = os.statvfs(self.file.parent)
        with self.file.open("ab") as file:
            file.write(bytes(max(0, at.f_bavail * at.f_frsize - free_bytes)))

    def fill(self) -> None:
        with contextlib.suppress(OSError), self.file.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4_096))

    def are_gone(self) -> None:
        self.file.unlink()


class TillOnDisk(Till):
    """A lane whose ledger is a file on the small disk."""

    def __init__(self, disk: Path, reserve: Reserve) -> None:
        self.place, self.reserve = disk, reserve
        super().__init__(disk, grants={bytes(range(16)): 10**6})

    def start(self, wrap: Any = lambda ledger: ledger) -> Any:
        self.settings |= {"free_bytes_min": STAND_IN_BYTES, "free_bytes_full": FULL_BYTES}
        self.reserve.keep()
        lane = super().start(wrap)
        lane._free_bytes = self.reserve.spare_bytes
        return lane

    def open_ledger(self) -> SqliteLedger:
        return SqliteLedger.open(str(self.place / "ledger.db"), wal_pages=0)

    def kill(self) -> None:
        self.ledger.close()


def a_till(disk: Path, reserve_bytes: int) -> TillOnDisk:
    return TillOnDisk(disk, Reserve(disk / "reserve", reserve_bytes, FULL_BYTES))


def open_holds(till: Till) -> None:
    """Sales that wait for their capture."""
    till.backend.available, till.backend.answer = True, online
    for number in range(10):
        assert sell(till, number).state is HoldState.AUTHORIZED
    till.backend.available = False


async def online(request: Any) -> dict[str, Any]:
    return approved(request)


def sell(till: Till, number: int) -> Any:
    return run(till.checkout.sell(order(f"sale-{number:04}", 100, capture="later"), till.phone().code()))


def test_a_full_disk_ends_sales_and_the_reserve_closes_the_books(disk: Path) -> None:
    till, others = a_till(disk, RESERVE_BYTES), Others(disk)
    assert till.reserve.is_held
    open_holds(till)

    others.leave(STAND_IN_BYTES - 1)
    early = sell(till, 100)
    assert (early.state, early.reason) == (HoldState.DECLINED, "free_space_min")

    others.fill()
    assert till.reserve.keep() is False
    with pytest.raises(DiskFull, match="captured, reversed and settled"):
        sell(till, 101)
    assert till.ledger.attempts("sale-0101") == ()
    assert [found.code for found in till.lane.conditions()][:2] == ["disk_full", "free_space_min"]
    close_books(till)

    till.restart()
    assert till.ledger.verify() == till.ledger.head
    with pytest.raises(DiskFull):
        sell(till, 102)

    others.are_gone()
    assert till.reserve.keep() is True
    assert sell(till, 103).state is HoldState.AUTHORIZED
    till.close()


def close_books(till: Till) -> None:
    assert run(till.lane.holds.capture("sale-0001")).state is HoldState.CAPTURED
    assert run(till.lane.holds.reverse("sale-0002", "cashier")).state is HoldState.REVERSED
    for number in range(3, 10):
        run(till.lane.holds.capture(f"sale-{number:04}"))
    report = run(till.lane.settlement.close_day(LENDER))
    assert report is not None and report.totals["captured"]["count"] == 8
    assert till.entries(Kind.SETTLEMENT)
    till.ledger.maintain({})


def test_without_the_reserve_the_books_could_not_be_closed(disk: Path) -> None:
    """The control: else the test above proves nothing."""
    till = a_till(disk, 0)
    open_holds(till)
    till.restart()
    Others(disk).fill()
    with pytest.raises(LedgerError):
        close_books(till)
    till.close()


def test_the_reserve_is_blocks_and_is_taken_only_when_there_is_room_for_more(disk: Path) -> None:
    reserve, others = Reserve(disk / "reserve", RESERVE_BYTES, FULL_BYTES), Others(disk)
    others.leave(RESERVE_BYTES + 2 * FULL_BYTES - 4_096)
    assert reserve.keep() is False
    assert reserve.spare_bytes() < 2 * FULL_BYTES
    others.are_gone()
    assert reserve.keep() is True
    assert (disk / "reserve").stat().st_blocks * 512 >= RESERVE_BYTES
    assert reserve.spare_bytes() <= DISK_BYTES - RESERVE_BYTES
    assert [path.name for path in disk.iterdir()] == ["reserve"]


def test_what_a_sale_may_count_on_does_not_grow_when_the_reserve_is_given_back(disk: Path) -> None:
    reserve, others = Reserve(disk / "reserve", RESERVE_BYTES, FULL_BYTES), Others(disk)
    reserve.keep()
    others.leave(FULL_BYTES - 4_096)
    before = reserve.spare_bytes()
    assert reserve.keep() is False
    assert reserve.spare_bytes() <= before < FULL_BYTES


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_cashier_reads_what_to_do(language: Any) -> None:
    words = [text(language, DiskFull.code, field) for field in ("cashier", "customer", "next")]
    assert all(words) and not any(DiskFull.code in word for word in words)
