"""The bench measures the product that is shipped, says so in a shape that programs read, and counts flushes exactly."""

import asyncio
import contextlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.bench.bare import BareCommit
from agent.bench.camera import camera_shares
from agent.bench.decisions import flushes, judgement
from agent.bench.flushes import SHOP_FLUSH_S, ShopDisk
from agent.bench.measure import Figure, Size, compare
from agent.bench.pages import CHROMIUM
from agent.bench.printing import slip_bytes
from agent.bench.props import Till
from agent.store.ledger import SqliteLedger
from drivers.printers.conversation import Patience
from drivers.scanners.camera import CameraSettings

FIELDS = {"name", "value", "unit", "ratio", "against", "goal", "limit"}
PARTS = ("bare one-row commit", "durable decision", "stand-in decision", "flushes", "pass verified", "snapshot lookup")
PARTS += ("stand-in decision without its commit", "bytes of a slip")
PARTS += (
    "rules",
    "slip built",
    "scan to event",
    "scan to decision",
    "commit to the slip's first byte",
    "run: start to ready",
    "drain",
    "decision p99, draining",
)
PARTS += ("scan to a bare", "scan to event", "commit to the slip's first byte", "English")
PARTS += ("raw bytes over the same TLS", "plan of a day", "layers of a plan", "look for", "lanes drain over TLS")


def test_a_decision_costs_exactly_one_flush_the_first_after_upkeep_too(tmp_path: Path) -> None:
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        assert [figure.value for figure in flushes(tmp_path, 20, loop)] == [1, 1]


def test_a_judgement_alone_approves_as_the_whole_decision_does_and_writes_nothing(tmp_path: Path) -> None:
    till = Till(tmp_path)
    judge, before = judgement(till), till.ledger.head
    judge()
    assert till.ledger.head == before
    till.close()


def test_a_slip_drawn_as_dots_is_longer_than_a_job_may_write_at_9600_baud() -> None:
    """What drivers/README.md says of it: eight bits, a start and a stop bit make a byte."""
    figures = {figure.name: figure.value for figure in slip_bytes()}
    for name in ("generic-80", "generic-58"):
        text_s, dots_s = (figures[f"bytes of a slip, {name}{form}"] * 10 / 9600 for form in ("", ", as dots"))
        assert text_s < Patience().write_s < dots_s


@pytest.mark.proof
def test_a_camera_leaves_the_till_what_it_was_told_to_leave(tmp_path: Path) -> None:
    shares = {figure.name.rpartition(", ")[2]: figure.value for figure in camera_shares(tmp_path, 4.0)}
    if not shares:
        pytest.skip("the camera extra is not installed")
    allowed = CameraSettings().cpu_percent_max
    assert shares["at work"] < 1.3 * allowed, "the clock of processor time has steps of 10 ms"
    assert shares["at rest"] < 0.5 * allowed


def test_a_shops_disk_is_slow_where_sqlite_syncs_and_nowhere_else(tmp_path: Path) -> None:
    bare = BareCommit(tmp_path / "bare.db", vfs=(disk := ShopDisk()).name)
    fast, slow = compare(Size(3, 3), lambda: None, bare.commit)
    bare.close()
    assert disk.name and slow.median_us - fast.median_us > SHOP_FLUSH_S * 1e6 > slow.thread_us


def test_no_table_of_the_ledger_but_the_journal_keeps_a_hidden_index_that_a_sale_would_write(tmp_path: Path) -> None:
    ledger = SqliteLedger.open(str(tmp_path / "ledger.db"), wal_pages=0)
    found = ledger._db.execute_sql("SELECT name FROM sqlite_schema WHERE name LIKE 'sqlite_autoindex%'").fetchall()
    ledger.close()
    assert {name for (name,) in found if "time_floor" not in name} == {"sqlite_autoindex_journal_entry_1"}


def test_a_ratio_compares_blocks_that_ran_side_by_side() -> None:
    calls: list[str] = []
    timings = compare(Size(3, 2), lambda: calls.append("a"), lambda: calls.append("b"), each=2)
    assert "".join(calls) == "aaaabbbb" * 3
    assert timings[0].ratio == 1.0


@pytest.mark.parametrize("ratio", [None, 1.25])
def test_a_figure_is_one_line_for_people_and_one_object_for_programs(ratio: float | None) -> None:
    figure = Figure("slip built", 200.0, "us", ratio, "GB18030 by hand", "<= 1000 us")
    assert set(json.loads(figure.to_json())) == FIELDS
    assert "\n" not in figure.to_text() + figure.to_json()


@pytest.mark.system
def test_the_quick_bench_prints_a_figure_for_each_part_as_json() -> None:
    command = [str(Path(sys.executable).with_name("counterfoil")), "bench", "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    is_seen = bool(importlib.util.find_spec("playwright")) and CHROMIUM.exists()
    parts = PARTS + (("page: scan to screen", "page: first paint") if is_seen else ())
    assert all(set(line) == FIELDS and line["value"] > 0 for line in lines)
    assert ("page: left out" in done.stderr) == (not is_seen)
    assert [part for part in parts if not any(part in line["name"] for line in lines)] == []
