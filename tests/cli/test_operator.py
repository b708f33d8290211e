"""`counterfoil operator`: operators come and go while the agent runs or is stopped; a PIN is never an argument."""

import getpass
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.store.operator_file import OperatorFile

Said = tuple[int, str]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(f'[lane]\nstate_dir = "{tmp_path}"\nrun_dir = "{tmp_path}"\n')
    return path


@pytest.fixture
def run(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def said(*words: str, pin: str = "") -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO(pin + "\n"))
        code = main(["operator", *words, "--config", str(config)])
        out = capsys.readouterr()
        return code, out.out + out.err

    return said


def test_an_operator_from_first_to_last(config: Path, run: Callable[..., Said]) -> None:
    book = OperatorFile(config.parent / "operators.json")
    assert "nobody needs to sign in" in run("list")[1]
    assert run("add", "1", "--role", "supervisor", "--pin-stdin", pin="1357") == (0, "1 is an operator now.\n")
    first = book.all()["1"]
    assert book.fits(first.pin_hash, "1357")
    assert "already" in run("add", "1", "--pin-stdin", pin="1357")[1]
    for _ in range(7):
        book.change("1", lambda operator: operator.tried(0) if operator else None)
    assert "wrong PINs: 7" in run("list")[1]
    assert run("reset", "1", "--pin-stdin", pin="2468")[0] == 0
    assert book.fits(book.all()["1"].pin_hash, "2468") and book.all()["1"].failures == 0
    assert json.loads(run("list", "--json")[1]) == [{"operator": "1", "role": "supervisor", "failures": 0}]
    assert run("remove", "1")[0] == 0
    assert book.all() == {}


@pytest.mark.parametrize(
    ("words", "pin", "why"),
    [
        (("add", "Li Wei", "--pin-stdin"), "1357", "is named by"),
        (("add", "2", "--pin-stdin"), "1111", "4 to 12 digits"),
        (("add", "2", "--pin-stdin"), "", "4 to 12 digits"),
        (("reset", "2", "--pin-stdin"), "1357", "There is no operator 2"),
        (("remove", "2"), "", "There is no operator 2"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(
    config: Path, run: Callable[..., Said], words: tuple[str, ...], pin: str, why: str
) -> None:
    code, told = run(*words, pin=pin)
    assert code == 1 and why in told
    assert OperatorFile(config.parent / "operators.json").all() == {}


def test_a_token_that_is_not_there_says_what_to_set(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--config", str(config)]) == 1
    assert "[local] port" in capsys.readouterr().err
    assert main(["token", "--new", "--config", str(config)]) == 0
    assert "Restart the agent" in capsys.readouterr().out


def _ended(prompt: str) -> str:
    raise EOFError


def _shown(prompt: str) -> str:
    warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=2)
    return "1357"


@pytest.mark.parametrize("typed", [_ended, _shown])
def test_without_a_terminal_that_hides_a_pin_none_is_read_and_the_way_out_is_named(
    typed: Callable[[str], str], config: Path, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getpass", typed)
    code, words = run("add", "1")
    assert code == 1 and "No PIN was typed." in words and "--pin-stdin" in words
    assert "no operators" in run("list")[1].lower()
