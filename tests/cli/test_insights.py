"""`counterfoil insights`: a screen, a table, one JSON value; of a day that there is."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli.main import main
from tests.local.served import ServedLane


def told(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str], *words: str, minor: int = 3_000
) -> tuple[int, str]:
    def story(pos: Any) -> int:
        sale = {"sale_id": "sale-0001", "amount": {"minor": minor, "currency": "CNY"}}
        pos.post("/v1/sales", sale | {"code": served.till.phone().code()})
        pos.post("/v1/other-tenders", {"count": 2, "amount_minor": 5_000})
        return main(["insights", *words, "--config", str(config)])

    code = served.tell(story)
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_screen_says_what_was_sold_when_and_how_it_compares(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, screen = told(served, config, capsys)
    assert code == 0
    assert "100 % of 1 asked" in screen
    assert "¥30.00 of 1" in screen and "¥25.00 of 2" in screen
    assert "  16  ###" in screen


def test_the_table_is_the_same_by_the_command_and_by_the_call(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, table = told(served, config, capsys, "--csv")
    assert ["2027-01-15", "UTC+08:00", "day", "approved", "", "1", "30.00", "3000", "CNY", ""] in list(
        csv.reader(io.StringIO(table))
    )
    status, media, data = served.tell(lambda _: served.raw("GET", "/v1/insights?format=csv"))
    assert (status, media) == (200, "text/csv; charset=utf-8")
    assert data.decode() == table


def test_json_has_the_day_and_a_day_that_is_none_is_refused_in_words(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert json.loads(told(served, config, capsys, "--json")[1])["approved"]["count"] == 1
    for day in ("yesterday", "0001-01-01", "9999-12-31", "last monday", "2027-01-15&format=csv"):
        code, screen = told(served, config, capsys, "--day", day)
        assert (code, "A day " in screen) == (1, True)
