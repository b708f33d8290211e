"""`counterfoil settle`: the end of the day, and an exit code that a script can trust."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from tests.local.served import ServedLane
from tests.services.lanes import LENDER


def settle(served: ServedLane, config: Path, *words: str) -> Any:
    return served.tell(lambda _: main(["settle", *words, "--config", str(config)]))


@pytest.mark.parametrize(("answer", "code"), [({"matched": True}, 0), (None, 3), ({"matched": False}, 4)])
def test_the_exit_code_says_whether_both_halves_match(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str], answer: Any, code: int
) -> None:
    backend: Any = served.till.backend

    async def said(body: Any) -> Any:
        return {"totals": body["totals"], "chain_head": body["chain_head"], "differences": []} | answer

    if answer is not None:
        backend.settle = said
    assert settle(served, config) == code
    told = capsys.readouterr().out
    assert told.startswith(f"Batch 1 of {LENDER}")
    assert {0: "matched", 3: "pending", 4: "different"}[code] in told
    assert ("run `counterfoil settle` again" in told) == (code == 3)


def test_the_report_is_one_json_value_for_scripts(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert settle(served, config, "--json", "--lender", LENDER) == 3
    assert json.loads(capsys.readouterr().out)["batch"] == 1
    assert settle(served, config, "--lender", "nobody") == 1
