"""`counterfoil status`: one screen that says whether the lane sells, and an exit code that says how bad it is."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from tests.cli.lane_on_disk import Command, LaneOnDisk
from tests.local.served import ServedLane
from tests.services.lanes import Till

Capture = pytest.CaptureFixture[str]


def status(served: ServedLane, config: Path, *words: str) -> Any:
    return served.tell(lambda _: main(["status", *words, "--config", str(config)]))


def acknowledge(till: Till) -> None:
    till.lane.forwarding.next_upload(1_000, 10**6)
    till.lane.forwarding.acknowledged(1, till.ledger.head.number, [])


def test_a_lane_that_is_well_says_so_and_ends_with_0(served: ServedLane, config: Path, capsys: Capture) -> None:
    served.till.backend.available = True
    assert status(served, config) == 0
    told = capsys.readouterr().out
    assert "lane lane-01, store s1" in told and "All is well." in told


def test_a_lane_that_stands_in_is_a_warning(served: ServedLane, config: Path, capsys: Capture) -> None:
    assert status(served, config) == 3
    assert "uplink_unavailable" in capsys.readouterr().out


def test_a_lane_that_cannot_stand_in_is_an_error(served: ServedLane, config: Path, capsys: Capture) -> None:
    served.till.free_bytes = 1
    assert status(served, config) == 4
    assert "free_space_min" in capsys.readouterr().out


def test_the_screen_shows_the_last_sales_and_whether_they_are_printed_and_sent(
    served: ServedLane, config: Path, capsys: Capture
) -> None:
    code = served.till.phone().code()
    body = {"sale_id": "sale-0001", "amount": {"minor": 3_000, "currency": "CNY"}, "code": code}
    served.tell(lambda client: client.post("/v1/sales", body))
    status(served, config)
    line = next(line for line in capsys.readouterr().out.splitlines() if "sale-0001" in line)
    assert "approved" in line and "30.00" in line and line.lower().endswith("not printed, to send")
    acknowledge(served.till)
    status(served, config)
    line = next(line for line in capsys.readouterr().out.splitlines() if "sale-0001" in line)
    assert line.endswith("sent") and "to send" not in line


def test_the_status_is_one_json_value_without_an_account_token(
    served: ServedLane, config: Path, capsys: Capture
) -> None:
    body = {"sale_id": "sale-0001", "amount": {"minor": 3_000, "currency": "CNY"}, "code": served.till.phone().code()}
    served.tell(lambda client: client.post("/v1/sales", body))
    assert status(served, config, "--json") == 3
    told = capsys.readouterr().out
    assert json.loads(told)["lane"] == "lane-01"
    assert bytes(range(16)).hex() not in told


def test_a_scanner_that_is_unplugged_and_a_printer_that_is_gone_are_told_before_a_sale_needs_them(
    lane: LaneOnDisk, counterfoil: Command
) -> None:
    lane.printer.close()
    with lane.running():
        lane.scanner.unplug()
        found: dict[str, str] = {}
        began = time.monotonic()
        while not {"scanner", "printer"} <= set(found) and time.monotonic() - began < 60:  # others may come first
            said = counterfoil("status", "--json")
            found = {row["code"]: row["detail"] for row in said.json["conditions"]}
        assert said.code == 4
        assert found["scanner"] in ("counter: lost", "counter: unreachable") and found["printer"] == "unreachable"
        assert "`counterfoil doctor` says what to do about each." in counterfoil("status").out
