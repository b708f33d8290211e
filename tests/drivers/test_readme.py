"""The tables of faults in drivers/README.md: each row names tests that keep its promise, and each of them is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
README = HERE.parents[1] / "drivers/README.md"
TABLE = re.compile(r"^\| fault \| what happens \| test in `([^`]+)` \|\n\|[ -|]+\|\n((?:\|.*\n)+)", re.MULTILINE)


def rows() -> Iterator[tuple[str, str, str]]:
    """(file or folder that the head of the table names, fault, tests)."""
    for where, body in TABLE.findall(README.read_text(encoding="utf-8")):
        for row in body.splitlines():
            _, fault, *_, tests, _ = re.split(r" ?\| ?", row)
            yield where, fault, tests


ROWS = list(rows())


def named(where: str, tests: str) -> Iterator[tuple[Path, str]]:
    """(file, what it must hold): `test_…`, `file.py::test_…` in backticks, or [a row of that file's table]."""
    at = HERE / where
    folder = at.parent if at.suffix else at
    for name in re.findall(r"`([^`]+)`", tests):
        file, _, test = name.rpartition("::")
        yield (folder / file if file else at), f"def {test}("
    for row in re.findall(r"\[([^\]]+)\]", tests):
        yield at, f'"{row}": '


def test_all_tables_were_found() -> None:
    assert list(dict.fromkeys(where for where, *_ in ROWS)) == [
        "printers/test_pos_printer.py",
        "drawers/test_cash_drawer.py",
        "beepers/test_beeper.py",
        "displays/test_line_display.py",
        "scanners/",
    ]


@pytest.mark.parametrize(("where", "fault", "tests"), ROWS, ids=[fault for _, fault, _ in ROWS])
def test_each_row_names_tests_that_are_there(where: str, fault: str, tests: str) -> None:
    found = list(named(where, tests))
    assert found, "no test is named"
    for file, text in found:
        assert text in file.read_text(encoding="utf-8"), f"{text} in {file.name}"
