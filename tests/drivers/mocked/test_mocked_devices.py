"""Scanners as the kernel shows them, played by umockdev: found, opened, grabbed, read, plugged in later.

Each story runs in a process of its own (`machine.py`), because umockdev stands between a process and its kernel.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(
        shutil.which("umockdev-wrapper") is None or not Path("/usr/lib/python3/dist-packages/gi").is_dir(),
        reason="umockdev and its bindings are not installed: `make services` does",
    ),
]


def told(story: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        ["umockdev-wrapper", sys.executable, "-m", "tests.drivers.mocked.machine", story],
        capture_output=True, cwd=ROOT, timeout=240, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def scan(text: str, symbology: str | None) -> dict[str, Any]:
    return {"scan": text, "symbology": symbology, "device": "gun"}


def test_a_typing_scanner_is_found_by_auto_grabbed_and_read() -> None:
    by_id = "evdev:/dev/input/by-id/usb-Symbol_Bar_Code_Scanner-event-kbd"
    assert told("typing") == [
        {"found": [["keyboard", by_id, "05e0:1200"]]},
        scan("4006381333931", None),
        scan("0106901234567892", "]C1"),
    ]


def test_one_that_was_set_to_german_and_to_the_tabulator_is_read_as_such() -> None:
    assert told("typing_german") == [scan("hQVDUFYwMyz+/=", None)]


def test_a_hidpos_scanner_is_found_by_its_descriptor_and_read_with_its_symbology() -> None:
    assert told("reports") == [
        {"found": [["hidpos", "usb:1209:0001:H1", "1209:0001"]]},
        scan("4006381333931", "]E0"),
    ]


def test_a_scanner_on_a_usb_port_is_found_by_auto_under_its_stable_name() -> None:
    assert told("port") == [
        {"found": [["serial", "serial:/dev/serial/by-id/usb-A1-if00", "0c2e:0b6a"]]},
        scan("0106901234567892", "]C1"),
    ]


def test_two_scanners_at_once_mix_no_digit_and_auto_takes_each_but_once() -> None:
    rows = told("two_at_once")
    heard = {device: [row["scan"] for row in rows if row.get("device") == device and "scan" in row] for device in "ab"}
    assert sorted(heard.values()) == [["4006381333931"] * 3, ["9780201379624"] * 3]


def test_what_is_plugged_in_is_used_at_once_because_udev_says_so() -> None:
    rows = told("plugged_later")
    facts = {key: value for row in rows for key, value in row.items()}
    assert facts["told_by_udev"] is True
    assert facts["added"] == ["serial:/dev/serial/by-id/usb-A1-if00"]
    assert facts["used_after_ms"] < 1000, "its own next attempt would come after two seconds"
    assert rows[-1] == scan("4006381333931", None)
