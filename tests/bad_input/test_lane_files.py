"""Files and disks that cannot be used: the agent does not start, or sells no more, and says what to do about it."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.core.money import Money
from agent.demo.props import wait_for
from agent.errors import CounterfoilError
from agent.local.client import LocalClient, RequestRefused
from agent.services.checkout import Order
from tests.cli.lane_on_disk import Command, LaneOnDisk
from tests.services.lanes import Phone

SALE = {"sale_id": "sale-0001", "amount": {"minor": 100, "currency": "CNY"}}


def started(lane: LaneOnDisk) -> subprocess.CompletedProcess[str]:
    """`counterfoil run`, which is expected to end by itself."""
    command = [sys.executable, "-m", "agent.cli.main", "run", "--config", str(lane.config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def a_directory_as_the_ledger(lane: LaneOnDisk) -> None:
    (lane.state / "ledger.db").unlink()
    (lane.state / "ledger.db").mkdir()


def garbage_as_the_ledger(lane: LaneOnDisk) -> None:
    (lane.state / "ledger.db").write_bytes(b"garbage" * 4096)


def a_file_as_the_state_directory(lane: LaneOnDisk) -> None:
    lane.state.rename(lane.root / "elsewhere")
    lane.state.touch()


def no_identity(lane: LaneOnDisk) -> None:
    (lane.identity / "identity.json").unlink()


def torn_identity(lane: LaneOnDisk) -> None:
    (lane.identity / "identity.json").write_text('{"lane": "lane-01", "lenders": [')


def damaged_key_list(lane: LaneOnDisk) -> None:
    path = lane.identity / "identity.json"
    path.write_text(path.read_text().replace('"keys": "', '"keys": "AAAA'))


def damaged_root(lane: LaneOnDisk) -> None:
    path = lane.identity / "identity.json"
    path.write_text(path.read_text().replace('"root": "', '"root": "AAAA'))


def damaged_journal_key(lane: LaneOnDisk) -> None:
    (lane.identity / "journal.key").write_text("garbage")


def wrong_configuration(lane: LaneOnDisk) -> None:
    lane.config.write_text('[lane]\ncurency = "CNY"\n[backend]\nonline_budget_ms = "fast"\n[prnter]\n')


def printer_with_unknown_profile(lane: LaneOnDisk) -> None:
    lane.config.write_text(lane.config.read_text().replace("[printer]", '[printer]\nprofile = "generic-81"'))


STARTS: dict[Callable[[LaneOnDisk], None], tuple[str, str]] = {
    a_directory_as_the_ledger: ("ledger.db cannot be", "state directory exists, is writable and has free space"),
    garbage_as_the_ledger: ("file is not a database", "keep the state directory as it is, and call support"),
    a_file_as_the_state_directory: ("identity.json", "counterfoil enroll"),
    no_identity: ("This lane has no keys and no certificate yet.", "counterfoil enroll"),
    torn_identity: ("identity.json cannot be used", "counterfoil enroll"),
    damaged_key_list: ("The keys of shoplend in the lane's identity cannot be used", "counterfoil enroll"),
    damaged_root: ("The keys of shoplend in the lane's identity cannot be used", "counterfoil enroll"),
    damaged_journal_key: ("journal.key cannot be used", "counterfoil enroll"),
    wrong_configuration: ("line 2: lane.curency: unknown key; did you mean currency?", "counterfoil config check"),
    printer_with_unknown_profile: ("did you mean generic-80?", "counterfoil config check"),
}


@pytest.mark.parametrize("breaks", STARTS, ids=lambda breaks: breaks.__name__)
def test_an_agent_that_cannot_start_says_why_and_what_to_do(
    breaks: Callable[[LaneOnDisk], None], lane: LaneOnDisk
) -> None:
    breaks(lane)
    cause, remedy = STARTS[breaks]
    done = started(lane)
    assert done.returncode == 1
    assert cause in done.stderr
    assert remedy in done.stderr


def test_all_mistakes_of_a_configuration_are_told_at_once(lane: LaneOnDisk) -> None:
    wrong_configuration(lane)
    said = started(lane).stderr
    assert "3 problems" in said
    assert '"fast" is not a whole number' in said
    assert "prnter: unknown key; did you mean printer?" in said


@pytest.fixture
def small_disk(lane: LaneOnDisk) -> Iterator[Path]:
    """The state directory on a disk of 128 MiB of its own: room for the lane, its reserve and little else."""
    elsewhere = lane.root / "elsewhere"
    lane.state.rename(elsewhere)
    lane.state.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128m", "none", str(lane.state)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk needs the right to mount one")
    subprocess.run(["cp", "-a", f"{elsewhere}/.", str(lane.state)], check=True)
    yield lane.state
    subprocess.run(["umount", "-l", str(lane.state)], check=True)


def fill(disk: Path) -> None:
    with (disk / "film.mp4").open("wb", buffering=0) as film:
        for size in (65_536, 512, 1):
            with contextlib.suppress(OSError):
                while film.write(b"x" * size):
                    pass


def sold(client: LocalClient, sale_id: str, code: str) -> object:
    """The state of the sale, or the code of the fault."""
    try:
        return client.post("/v1/sales", SALE | {"sale_id": sale_id, "capture": "later", "code": code})["state"]
    except RequestRefused as refusal:
        return refusal.problem["title"]


def test_a_full_disk_ends_sales_in_words_closes_the_books_and_space_brings_the_sales_back(
    lane: LaneOnDisk, small_disk: Path, phone: Phone, counterfoil: Command
) -> None:
    with lane.running() as client:
        assert sold(client, "sale-0001", phone.code()) == "approved"
        fill(small_disk)
        wait_for("the reserve is given back", lambda: not (small_disk / "reserve").exists(), 60)
        assert sold(client, "sale-0002", phone.code()) == "disk_full"
        conditions = {found["code"]: found for found in client.get("/v1/status")["conditions"]}
        assert "no sale is begun" in conditions["disk_full"]["detail"]
        said = counterfoil("doctor", "--faults")
        assert client.post("/v1/sales/sale-0001/capture")["hold"] == "captured"
        assert client.post("/v1/settlements")["totals"]["captured"] == {"count": 1, "minor": 100}
        (small_disk / "film.mp4").unlink()
        wait_for("the reserve is taken again", lambda: (small_disk / "reserve").exists(), 60)
        assert sold(client, "sale-0002", phone.code()) == "approved"
    assert "why: The disk is full: no sale is begun." in said.out
    assert "du -xh" in said.out


def test_a_ledger_that_fails_in_the_middle_is_told_as_a_fault_and_never_as_an_approval(
    lane: LaneOnDisk, phone: Phone
) -> None:
    with lane.lane() as running:
        running.ledger._db.execute_sql("PRAGMA query_only=ON")  # type: ignore[attr-defined]
        with pytest.raises(CounterfoilError) as fault:
            asyncio.run(running.counter.open_sale(Order("sale-0001", Money(100, "CNY"), "5411"), phone.code()))
    assert fault.value.code == "ledger_unavailable"
    assert "no sale was recorded, try it again" in fault.value.hint
