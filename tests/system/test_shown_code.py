"""A customer without a readable code pays the lane's own: real processes, the lender's app played by its command."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.demo.props import command, wait_for
from agent.demo.report import read_books
from agent.demo.stage import LANE, Cast, Stage, staged
from tests.system.test_kills import is_quiet, status

pytestmark = [pytest.mark.system, pytest.mark.proof]

LIMIT_MINOR = 50_000
LEASE_MINOR = 10_000


def shows(stage: Stage, sale_id: str, minor: int) -> str:
    """The text of the code, as soon as the lane shows it."""
    stage.client.post("/v1/sales", {"sale_id": sale_id, "amount": {"minor": minor, "currency": "CNY"}})
    stage.client.post(f"/v1/sales/{sale_id}/merchant-code", {})
    code: dict[str, Any] = wait_for("the code is shown", lambda: sale(stage, sale_id).get("own_code"), 60)
    text: str = code["text"]
    return text


def sale(stage: Stage, sale_id: str) -> dict[str, Any]:
    view: dict[str, Any] = stage.client.get(f"/v1/sales/{sale_id}")
    return view


def pays(stage: Stage, text: str, account: str) -> subprocess.CompletedProcess[str]:
    line = command("counterfoil-backend", "pay", "--dir", str(stage.out / "backend"), text, account)
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=240)


def ended(stage: Stage, sale_id: str) -> dict[str, Any]:
    return wait_for(
        "its end", lambda: (view := sale(stage, sale_id))["state"] in ("approved", "declined") and view, 120
    )


def test_the_lender_s_app_pays_the_code_once_within_the_limit_and_never_one_that_was_given_up(tmp_path: Path) -> None:
    with staged(tmp_path / "code", Cast(customers=2, limit_minor=LIMIT_MINOR, lease_minor=LEASE_MINOR)) as stage:
        first, second = stage.accounts
        text = shows(stage, "code-paid", 3_000)
        assert pays(stage, text, first).returncode == 0
        assert pays(stage, text, second).returncode != 0, "two phones, one payment"
        assert ended(stage, "code-paid")["account"] == f"****{first[-4:]}"

        text = shows(stage, "code-too-dear", LIMIT_MINOR + 1)
        assert pays(stage, text, second).returncode != 0, "no account goes above its limit"
        stage.client.post("/v1/sales/code-too-dear/abandonment", {})
        assert ended(stage, "code-too-dear")["state"] == "declined"

        text = shows(stage, "code-given-up", 2_000)
        stage.client.post("/v1/sales/code-given-up/abandonment", {})
        assert ended(stage, "code-given-up")["state"] == "declined"
        assert pays(stage, text, second).returncode != 0, "what was given up is paid by nobody"

        text = shows(stage, "code-killed", 1_000)
        stage.agent.kill()
        stage.agent.start()
        wait_for("the agent is back", lambda: status(stage), 120)
        is_paid = pays(stage, text, second).returncode == 0
        view = ended(stage, "code-killed")
        wait_for("all is sent", lambda: is_quiet(stage), 120)
        stands = 1_000 if is_paid and view["state"] == "approved" else 0
        books = read_books(stage, LANE)
        owed = {row["account"]: row["used_minor"] + row["held_minor"] for row in books["accounts"]}
        assert (owed[first], owed[second]) == (3_000, stands)
