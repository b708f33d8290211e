"""The demo is the product's own proof: a lane's day with a camera, a cut line and a kill, and both halves match."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.proof]


def test_a_lanes_day_ends_with_both_halves_matched(tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="the camera extra is not installed", exc_type=ImportError)
    counterfoil = Path(sys.executable).with_name("counterfoil")
    told = subprocess.run(
        [counterfoil, "demo", "--camera", "--json", "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert told.returncode == 0, told.stdout[-2_000:] + told.stderr[-2_000:]
    assert "online, seen by the camera: ¥33.00 -> APPROVED 00 online" in told.stdout
    said = json.loads(told.stdout.splitlines()[-1])
    assert (said["matched"], said["faults"]) == (True, [])
    assert said["settlement"] == {"demo": "matched", "riverbank": "matched"}
    assert "online, by the second lender: ¥128.00 -> APPROVED 00 online" in told.stdout
    assert (said["lost"], said["duplicated"], said["over_limit"]) == (0, 0, 0)
    approved = [sale for sale in said["sales"] if sale["response_code"] == "00"]
    assert {sale["mode"] for sale in approved} == {"online", "stand_in"}
    assert all(sale["printed"] and sale["acknowledged"] for sale in approved)
    declined = {sale["response_code"] for sale in said["sales"]} - {"00"}
    assert declined == {"61", "54", "94", "59"}
