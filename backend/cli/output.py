"""What verbs print: sentences and tables for people, one JSON object for programs.

The one rule: answers go to stdout, progress and refusals to stderr; a control character from outside reaches no
terminal.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

BAR_CHARACTERS: Final = 30
LINE_EVERY_S: Final = 5.0
ABSENT: Final = "-"


def show_json(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer, ensure_ascii=False))


def show(args: argparse.Namespace, answer: Mapping[str, Any]) -> None:
    """An answer of a few fields: ``name: value``, a line for each."""
    if args.json:
        show_json(answer)
        return
    for name, value in answer.items():
        for line in value if isinstance(value, list) else [value]:
            print(f"{name}: {_cell(line)}")


def show_table(args: argparse.Namespace, answer: Mapping[str, Any], rows: str, empty: str) -> None:
    """The list ``rows`` of an answer as a table of its members, or the sentence ``empty``."""
    if args.json:
        show_json(answer)
    elif not answer[rows]:
        print(empty)
    else:
        print("\n".join(table(answer[rows])))


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of columns as wide as their widest cell; numbers to the right."""
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[at]) for line in cells)) for at, name in enumerate(names)]
    right = [all(isinstance(row[name], int) and not isinstance(row[name], bool) for row in rows) for name in names]
    return [
        "  ".join(
            cell.rjust(width) if end else cell.ljust(width)
            for cell, width, end in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [names, *cells]
    ]


class ProgressLine:
    """How far a long operation is: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._shown_at_s = time.monotonic()
        self._has_bar = False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._has_bar:
            print(file=sys.stderr)

    def show(self, done: int, total: int, what: str) -> None:
        counted = f"{done:,} of {total:,} {what}"
        if self._is_terminal:
            full = BAR_CHARACTERS * done // max(total, 1)
            bar = "#" * full + "." * (BAR_CHARACTERS - full)
            print(f"\r[{bar}] {counted}", end="", file=sys.stderr, flush=True)
            self._has_bar = True
        elif time.monotonic() - self._shown_at_s >= LINE_EVERY_S:
            self._shown_at_s = time.monotonic()
            print(counted, file=sys.stderr, flush=True)


def _cell(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_cell(part)}" for name, part in value.items()) or ABSENT
    if isinstance(value, list):
        return "; ".join(_cell(part) for part in value) or ABSENT
    return "".join(character if character.isprintable() else "�" for character in str(value))
