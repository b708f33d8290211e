"""The command: a fault is a sentence, a hint and an exit code, never a stack trace."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.cli import main as command
from agent.errors import CounterfoilError, LedgerInUse
from drivers.errors import TransportError

Verb = Callable[[argparse.Namespace], int]


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Verb], None]:
    def install(run: Verb) -> None:
        def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
            parser = subparsers.add_parser("try", help="for this test")
            parser.add_argument("--json", action="store_true")
            parser.set_defaults(run=run)

        monkeypatch.setattr(command, "_verb_modules", lambda _: [SimpleNamespace(add_parser=add_parser)])

    return install


def fails(error: BaseException) -> Verb:
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (LedgerInUse(), "Another process holds the ledger."),
        (CounterfoilError("The disk is full."), "The disk is full."),
        (PermissionError(13, "Permission denied", "/var/lib/x"), "/var/lib/x: Permission denied"),
        (TransportError("lost", "ttyACM0"), "The connection to the device broke; check power and cable."),
        (ZeroDivisionError("division by zero"), "internal fault, ZeroDivisionError: division by zero"),
    ],
)
def test_a_fault_is_a_sentence_and_a_hint_on_stderr_and_exit_code_1(
    verb: Callable[[Verb], None], capsys: pytest.CaptureFixture[str], error: Exception, sentence: str
) -> None:
    verb(fails(error))
    assert command.main(["try"]) == 1
    out, err = capsys.readouterr()
    message, hint = err.splitlines()
    assert (out, message) == ("", f"counterfoil: {sentence}")
    assert hint.endswith((".", ";"))


def test_with_json_a_fault_is_also_data_on_stdout(
    verb: Callable[[Verb], None], capsys: pytest.CaptureFixture[str]
) -> None:
    verb(fails(LedgerInUse()))
    assert command.main(["try", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ledger_in_use"


def test_only_debug_shows_where_a_fault_happened(verb: Callable[[Verb], None]) -> None:
    verb(fails(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        command.main(["--debug", "try"])


def test_an_interrupt_is_silent_and_130(verb: Callable[[Verb], None], capsys: pytest.CaptureFixture[str]) -> None:
    verb(fails(KeyboardInterrupt()))
    assert command.main(["try"]) == 130
    assert capsys.readouterr() == ("", "")


def test_the_verbs_exit_code_is_the_commands(verb: Callable[[Verb], None]) -> None:
    verb(lambda args: 3)
    assert command.main(["try"]) == 3


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["no-such-verb"], 2), (["--help"], 0), (["--version"], 0)])
def test_usage_is_2_and_help_is_0(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments) == code
    assert "Traceback" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("arguments", "usage", "said"),
    [
        (["scann"], "usage: counterfoil [", "counterfoil: argument VERB: there is no 'scann'; did you mean 'scan'?"),
        (["sale"], "usage: counterfoil sale [", "counterfoil sale: the following arguments are required: VERB"),
        (
            ["config", "chek"],
            "config [",
            "counterfoil config: argument ACTION: there is no 'chek'; did you mean 'check'?",
        ),
        (["doctor", "--xx"], "usage: counterfoil doctor [", "counterfoil doctor: not understood: --xx"),
        (["sale", "show", "a", "b"], "usage: counterfoil sale show [", "counterfoil sale show: not understood: b"),
    ],
)
def test_wrong_usage_is_told_by_the_verb_that_was_meant(
    arguments: list[str], usage: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(arguments)
    err = capsys.readouterr().err
    assert usage in err
    assert err.splitlines()[-1] == said


def test_a_verb_without_its_verb_lists_them_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["sale"])
    listed = [line.split(None, 1) for line in capsys.readouterr().err.splitlines() if line.startswith("    ")]
    assert {"make", "show", "refund"} <= {line[0] for line in listed if len(line) == 2}


def test_help_lists_every_verb_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--help"])
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("    ")}
    files = {path.stem for path in Path(command.__file__).parent.glob("*.py") if "def add_parser" in path.read_text()}
    assert {name.rstrip("_").replace("_", "-") for name in files} <= listed


def test_a_verb_imports_no_other_verb() -> None:
    script = (
        "import sys; from agent.cli.main import main; main(['config', 'init']); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stderr.split() if name.startswith("agent.cli.")}
    assert loaded == {f"agent.cli.{name}" for name in ("main", "usage", "options", "config_")}


def test_a_reader_that_has_enough_is_no_fault() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    arguments = [sys.executable, "-m", "agent.cli.main", "config", "init"]
    done = subprocess.run(arguments, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_init_never_overwrites_and_check_accepts_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "agent.toml"
    assert command.main(["config", "init", str(path)]) == 0
    assert command.main(["config", "check", str(path)]) == 0
    assert command.main(["config", "check", "--config", str(path)]) == 0
    path.write_text("[lane]\nlanguage = 'en'\n")
    assert command.main(["config", "init", str(path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert command.main(["config", "show", str(path)]) == 0
    assert 'lane.language = "en"' in capsys.readouterr().out.splitlines()


def test_check_gives_scripts_the_problems_as_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("[uplink]\npoll_s = 0\n")
    assert command.main(["config", "check", "--json", str(path)]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["error"]["problems"]
    assert (problem["key"], problem["line"]) == ("uplink.poll_s", 2)
