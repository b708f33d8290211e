"""`counterfoil shift`: a drawer that differs is an exit code, and what cannot be is refused in words."""

import json
from pathlib import Path

import pytest

from agent.cli.main import main
from tests.local.served import ServedLane


def told(served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = served.tell(lambda _: main(["shift", *words, "--config", str(config)]))
    said = capsys.readouterr()
    return code, said.out + said.err


def test_a_shift_from_its_float_to_its_count(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(served, config, capsys, "show")[0] == 1
    code, screen = told(served, config, capsys, "open", "7", "20000")
    assert (code, "Shift 1 of 7, open" in screen, "¥200.00" in screen) == (0, True, True)
    assert told(served, config, capsys, "open", "8", "20000")[0] == 1
    code, screen = told(served, config, capsys, "close", "24900", "--cash", "5000")
    assert (code, "-¥1.00" in screen, "¥250.00" in screen) == (4, True, True)
    code, value = told(served, config, capsys, "show", "--json")
    assert (code, json.loads(value)["difference_minor"]) == (4, -100)


def test_a_name_with_a_blank_is_no_operator(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = told(served, config, capsys, "open", "Zhang San", "0")
    assert (code, "operator" in said) == (1, True)


def test_a_shift_of_nobody_names_both_ways_to_say_whose(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["shift", "open", "20000", "--config", str(config)]) == 1
    said = capsys.readouterr().err
    assert "whose shift" in said and "--operator NAME" in said and "shift open 12 20000" in said


def test_a_shifts_paper_is_printed_once_and_again_only_when_asked_as_a_copy(
    served: ServedLane, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def jobs(*words: str) -> list[bool]:
        """Whether each slip that this command queued is a copy."""
        before = len(served.till.ledger.print_jobs())
        assert told(served, config, capsys, *words)[0] in (0, 4)
        return [job.slip.is_copy for job in served.till.ledger.print_jobs()[before:]]

    assert jobs("open", "7", "20000") == [False]
    assert jobs("open", "7", "20000") == jobs("show") == []
    assert jobs("open", "7", "20000", "--print") == [True]
    assert jobs("close", "19900", "--no-print") == []
    assert jobs("close", "19900") == []
    assert jobs("close", "19900", "--print") == [True]
