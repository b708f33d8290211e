"""`counterfoil claim`: what became of a slip is said in a sentence, and so is why it was refused."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from agent.errors import UplinkRefused, UplinkUnavailable
from tests.local.served import ServedLane

CODE = "CFC1:hEOhASag"


class Desk:
    """The backend behind the running agent."""

    def __init__(self, said: str | Exception) -> None:
        self.said, self.asked = said, list[str]()

    async def __call__(self, text: str) -> dict[str, Any]:
        self.asked.append(text)
        if isinstance(self.said, Exception):
            raise self.said
        return {"result": self.said, "sale_id": "sale-0001", "lane": "lane-07", "epoch": 2}


def claim(served: ServedLane, config: Path, desk: Desk, *words: str) -> Any:
    return served.tell(lambda _: main(["claim", *words, "--config", str(config)]), claim=desk)


@pytest.mark.parametrize("result", ["accepted", "duplicate", "known"])
def test_what_became_of_a_slip_is_one_sentence(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str], result: str
) -> None:
    desk = Desk(result)
    assert claim(served, config, desk, CODE) == 0
    said = capsys.readouterr().out
    assert "sale-0001" in said and "lane-07" in said
    assert desk.asked == [CODE]


def test_a_scanner_may_type_it_and_a_script_may_read_the_answer(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{CODE}\r\n"))
    desk = Desk("accepted")
    assert claim(served, config, desk, "-", "--json") == 0
    assert json.loads(capsys.readouterr().out)["result"] == "accepted"
    assert desk.asked == [CODE]


@pytest.mark.parametrize("fault", [UplinkRefused("claim_signature"), UplinkUnavailable("The link is down.")])
def test_a_refusal_and_a_dead_line_are_sentences(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str], fault: Exception
) -> None:
    assert claim(served, config, Desk(fault), CODE) == 1
    said = capsys.readouterr().err
    assert said.startswith("counterfoil: ") and "Traceback" not in said
    assert ("Scan the whole code" in said) == isinstance(fault, UplinkRefused)
