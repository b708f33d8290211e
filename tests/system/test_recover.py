"""A backup of the ledger is put back at a counter, and a person recovers the lane (lease rule 11): real processes, the
command line, TLS to the real backend."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.demo.props import ask, command, wait_for
from agent.demo.report import read_books
from agent.demo.stage import LANE, Stage, staged
from tests.system.test_kills import is_quiet, sell, status

pytestmark = [pytest.mark.system, pytest.mark.proof]


def said(stage: Stage, *words: str) -> tuple[int, str]:
    """Exit code and what a person sees."""
    line = [*command("counterfoil", *words), "--config", str(stage.config)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=240, stdin=subprocess.DEVNULL)
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def copy(stage: Stage, source: Path, target: Path) -> None:
    """All files of a ledger, while nobody writes to them."""
    stage.agent.stop()
    target.mkdir(exist_ok=True)
    for old in target.glob("ledger.db*"):
        old.unlink()
    for file in source.glob("ledger.db*"):
        shutil.copy2(file, target)
    stage.agent.start()
    wait_for("the agent is back", lambda: status(stage), 120)


def sold(stage: Stage, sale_id: str, minor: int = 1_000) -> tuple[str, str, str]:
    view = sell(stage, sale_id, minor, stage.phone.code())
    return view["state"], view["mode"], view["reason"]


def offline(stage: Stage, sale_id: str) -> tuple[str, str, str]:
    stage.line.cut()
    try:
        return sold(stage, sale_id)
    finally:
        stage.line.restore()


def codes(stage: Stage) -> set[str]:
    return {found["code"] for found in status(stage).get("conditions", [])}


def newest_snapshot(stage: Stage) -> int:
    [lender] = status(stage)["lenders"]
    return lender["snapshot_sequence"] or 0


@pytest.mark.parametrize("witness", ["kept", "lost"])
def test_a_lane_whose_backup_was_put_back_is_recovered_and_sells_again(tmp_path: Path, witness: str) -> None:
    with staged(tmp_path / "recover") as stage:
        state, backup = stage.out / "lane", tmp_path / "backup"
        assert sold(stage, "before-the-backup")[0] == "approved"
        wait_for("all is sent", lambda: is_quiet(stage), 120)
        copy(stage, state, backup)
        for number in range(3):
            assert sold(stage, f"forgotten-{number}")[0] == "approved"
        wait_for("all is sent", lambda: is_quiet(stage), 120)
        if witness == "lost":
            shutil.rmtree(stage.out / "lane-witness")
        copy(stage, backup, state)

        wait_for("the lane knows", lambda: "journal_fork" in codes(stage), 120)
        assert offline(stage, "while-in-doubt")[::2] == ("declined", "journal_fork")
        code, screen = said(stage, "status")
        assert (code, "counterfoil recover" in screen) == (4, True)
        assert "counterfoil recover" in said(stage, "doctor")[1]
        wait_for("the line is up", lambda: status(stage)["link"]["up"], 120)

        before = newest_snapshot(stage)
        code, screen = said(stage, "recover")
        assert (code, "here:     epoch 1" in screen, "Nothing was changed" in screen) == (3, True, True)
        code, screen = said(stage, "recover", "--yes")
        assert (code, "Epoch 2 has begun" in screen) == (0, True), screen
        code, screen = said(stage, "recover", "--yes")
        assert (code, "nothing to recover" in screen) == (1, True), screen

        wait_for("all is sent, old and new", lambda: is_quiet(stage), 120)
        assert "journal_fork" not in codes(stage)
        wait_for("a snapshot of the new epoch", lambda: newest_snapshot(stage) > before, 120)
        wait_for("it is in force", lambda: "snapshot_missing" not in codes(stage), 120)
        assert offline(stage, "alone-again") == ("approved", "stand_in", "approved_offline")
        wait_for("all is sent", lambda: is_quiet(stage), 120)
        assert stage.client.post("/v1/settlements")["state"] == "matched"
        wait_for("all is sent", lambda: is_quiet(stage), 120)
        wait_for("the old epoch's batch is answered", lambda: "batch_pending" not in codes(stage), 600)
        assert said(stage, "status")[0] == 3, "what was set aside is a warning; everything works"
        assert "has a double" not in said(stage, "doctor")[1], "what is over is not told as if it went on"
        aside = exceptions(stage)
        books = read_books(stage, LANE)
    assert {(row["result"], row["reason"]) for row in aside} == {("quarantined", "journal_forked")}
    assert "while-in-doubt" in {row["sale_id"] for row in aside}
    assert books["findings"] == []
    standing = {sale["sale_id"] for sale in books["sales"] if sale["state"] in ("authorized", "captured")}
    assert standing == {"before-the-backup", "forgotten-0", "forgotten-1", "forgotten-2", "alone-again"}


def exceptions(stage: Stage) -> list[dict[str, Any]]:
    """What the backend shows its people."""
    found = ask(*command("counterfoil-backend", "exceptions", "list", "--dir", str(stage.backend_dir), "--json"))
    rows: list[dict[str, Any]] = found["exceptions"]
    return rows
