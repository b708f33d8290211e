"""`counterfoil run`: before it owns the lane, whatever is missing is said in a sentence."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.main import main


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The daemon owns its process's logging; here it is one guest among many."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("verb", ["run", "uplink"])
def test_a_lane_that_is_not_enrolled_says_what_to_do(
    config: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    assert main([verb, "--config", str(config)]) == 1
    said = capsys.readouterr().err
    assert "counterfoil enroll" in said and "Traceback" not in said


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--config", str(tmp_path / "none.toml")]) == 1
    assert "none.toml" in capsys.readouterr().err
