"""The tables of README.md and backend/README.md name every verb and every call that there is, and none that is not."""

import argparse
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from agent.cli import main as agent_command
from agent.local import api as local_api
from backend import api as backend_api
from backend.cli import command as backend_command

ROOT = Path(__file__).parents[1]
README, BACKEND_README = ROOT / "README.md", ROOT / "backend" / "README.md"

UNTOLD = {
    ("GET", "/v1/ca"),
    ("POST", "/v1/enroll"),
    ("GET", "/v1/openapi.json"),
}  # the sentence above the table has them


def first_cells(readme: Path, head: str) -> Iterator[str]:
    """The words in code type in the first column of the tables whose head begins so."""
    for table in re.findall(rf"^\| {head} \|.*\n\|.*\n((?:\|.*\n)+)", readme.read_text(encoding="utf-8"), re.MULTILINE):
        for row in table.splitlines():
            yield from re.findall(r"`([^`]+)`", re.split(r"(?<!\\)\|", row)[1])


def verbs_told(readme: Path) -> set[str]:
    """`sale make`, `sale show`, `status`, …: of words in small letters only, the others being arguments."""
    told = set()
    for words in first_cells(readme, "verb"):
        verb, _, rest = words.replace("\\|", "|").partition(" ")
        actions = rest.split(" ")[0].split("|")
        told |= {f"{verb} {action}" for action in actions if re.fullmatch("[a-z-]+", action) and action[0] != "-"}
        told |= {verb} if not re.match("[a-z]", rest) else set()
    return told


def verbs_of(parser: argparse.ArgumentParser, before: str = "") -> Iterator[str]:
    of = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not of:
        yield before.strip()
    for name, verb in ((name, verb) for action in of for name, verb in action.choices.items()):
        yield from verbs_of(verb, f"{before} {name}")


@pytest.mark.parametrize(
    ("readme", "parser"),
    [(README, partial(agent_command._parser, ["--help"])), (BACKEND_README, backend_command.parser)],
    ids=["counterfoil", "counterfoil-backend"],
)
def test_the_verbs_are_those_of_the_command(readme: Path, parser: Callable[[], argparse.ArgumentParser]) -> None:
    assert verbs_told(readme) == set(verbs_of(parser()))


def calls_told(readme: Path) -> set[tuple[str, str]]:
    """(method, path). A path alone has the method of the call before it; `…` is that call's path up to a name."""
    told: set[tuple[str, str]] = set()
    method, path = "", ""
    for words in first_cells(readme, "call"):
        call = words.partition("?")[0]
        if not call.startswith('"'):  # a member of the body above
            method = call.rpartition(" ")[0] or method
            path = call.rpartition(" ")[2].replace("…", path[: path.rfind("}") + 1])
            told.add((method, path))
    return told


def test_the_calls_are_those_of_the_local_api() -> None:
    assert calls_told(README) == {(row.method, row.path) for row in local_api.TABLE}


def test_the_calls_are_those_of_the_backend() -> None:
    served = {(method, path.replace(":int", "")) for method, path, *_ in backend_api._TABLE}
    assert calls_told(BACKEND_README) | UNTOLD == served
