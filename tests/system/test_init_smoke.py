"""A lane under a real init: waits for enrollment, survives SIGKILL and a hang, stops cleanly, and loses nothing."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MACHINE = Path(__file__).with_name("smoke_machine.py")
TOOLS = ("systemd-nspawn", "systemctl", "unshare", "nsenter", "runuser")
NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
CANNOT_BOOT = 77
WHOLE_S = 720
WATCHDOG_S = 10
LOADED_S = 60
"""What a busy computer may add to a restart that takes a second on an idle one."""

pytestmark = [pytest.mark.system, pytest.mark.proof]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The report of one day on one machine; everything of it ends with the process that is started here."""
    obstacle = in_the_way()
    if obstacle:
        pytest.skip(obstacle)
    work = tmp_path_factory.mktemp("machine")
    line = ["unshare", *NAMESPACES, sys.executable, str(MACHINE), str(work)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=WHOLE_S)
    if done.returncode == CANNOT_BOOT:
        pytest.skip(f"no machine can be booted here: {done.stdout.strip()}")
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    print(json.dumps({name: value for name, value in report.items() if name != "faults"}, indent=1))
    yield report
    assert list(work.iterdir()) == [], "the machine left something behind"


def in_the_way() -> str:
    """Why no machine can be booted, "" if nothing is known to stand in the way."""
    if os.geteuid() != 0:
        return "only root may boot a machine"
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: systemd, systemd-container, util-linux)"
    if not Path(sys.executable).resolve().is_relative_to("/usr"):
        return f"the services may not read {Path(sys.executable).resolve()}: they need a Python below /usr"
    return ""


def test_every_answer_stands_and_both_halves_match_after_five_kills_and_a_hang(day: dict[str, Any]) -> None:
    assert day["faults"] == [], "\n".join(day["faults"])
    assert day["sales"] >= len(day["kills"]) == 5


def test_a_kill_restarts_the_daemon_alone(day: dict[str, Any]) -> None:
    assert (day["restarts"], day["uplink_restarts"]) == (5, 0)
    assert max(kill["to_answer_s"] for kill in day["kills"]) < LOADED_S


def test_the_watchdog_ends_a_hang(day: dict[str, Any]) -> None:
    assert WATCHDOG_S / 2 < day["hang_to_answer_s"] < WATCHDOG_S + LOADED_S


@pytest.mark.parametrize("unit", ["daemon", "uplink"])
def test_a_process_runs_without_any_capability_behind_a_filter(day: dict[str, Any], unit: str) -> None:
    seen = day[unit]
    assert (int(seen["CapEff"], 16), seen["NoNewPrivs"], seen["Seccomp"]) == (0, "1", "2")
