"""`counterfoil lease`: what is left of an account's lease, and giving it back, for the one who is asked to free it."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from tests.local.served import ServedLane
from tests.services.lanes import CUSTOMER


def lease(served: ServedLane, config: Path, *words: str) -> Any:
    return served.tell(lambda _: main(["lease", *words, "--config", str(config)]))


def test_a_lease_is_shown_and_given_back(served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = CUSTOMER.hex()
    assert lease(served, config, "show", token, "--json") == 0
    left = json.loads(capsys.readouterr().out)["left_minor"]
    assert lease(served, config, "return", token, "--amount", "1000") == 0
    assert "Given back: 1000 minor units" in capsys.readouterr().out
    assert lease(served, config, "return", token, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["returned_minor"], answer["left_minor"]) == (left - 1_000, 0)


@pytest.mark.parametrize(
    "words", [["show", "abc"], ["show", "00" * 16], ["return", "00" * 16], ["show", "zz" * 16], ["show", "a b"]]
)
def test_an_account_that_is_none_is_a_sentence(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert lease(served, config, *words) == 1
    told = capsys.readouterr().err
    assert told.startswith("counterfoil: ") and "Traceback" not in told and "does not answer" not in told


def test_another_lender_than_those_of_the_lane_is_refused(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lease(served, config, "show", CUSTOMER.hex(), "--lender", "nobody") == 1
    assert "not a lender of this lane" in capsys.readouterr().err
