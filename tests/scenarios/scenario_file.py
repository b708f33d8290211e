"""Reads a scenario file into scenes. The one rule: whatever is not understood is named by file and line, never skipped.

`README.md` beside this file says what a scenario file looks like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

INPUTS = ("time", "lane", "sale", "account", "amount", "currency", "category", "capture", "plan", "pass", "link")
ANSWERS = (
    *("answer", "code", "reason", "paid by", "clock", "rules", "recorded", "on the slip"),
    *("fee", "payments", "due"),
)
DURATION_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Misread(AssertionError):
    """A line that says nothing to the reader."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")


@dataclass(frozen=True)
class Line:
    """One line of a file: where it stands, and its words."""

    where: str
    text: str

    def misread(self, what: str) -> Misread:
        return Misread(self.where, f"{what}: {self.text.strip()!r}")


@dataclass(frozen=True)
class SaleLine:
    """A sale and what is expected of it; a cell that is not given, or is empty in a given column, is "" here."""

    line: Line
    asked: Mapping[str, str]
    expected: Mapping[str, str]


@dataclass(frozen=True)
class Event:
    """What happens between two sales."""

    line: Line
    text: str


@dataclass(frozen=True)
class Scene:
    """A lane and what happens at it. ``setting``: (key, words) in the order of the file."""

    line: Line
    title: str
    setting: list[tuple[Line, str, str]] = field(default_factory=list)
    steps: list[SaleLine | Event] = field(default_factory=list)


def read_scenes(path: Path) -> list[Scene]:
    """The scenes of a file. Raises Misread."""
    scenes: list[Scene] = []
    columns: tuple[list[str], list[str]] | None = None
    for line in read_lines(path):
        word, _, rest = line.text.strip().partition(" ")
        if word == "scene":
            scenes.append(Scene(line, rest.strip()))
            columns = None
        elif not scenes:
            raise line.misread("there is no scene yet")
        elif word == "then":
            scenes[-1].steps.append(Event(line, rest.strip()))
        elif "=>" not in line.text:
            scenes[-1].setting.append((line, word, rest.strip()))
        elif columns is None:
            columns = _columns(line)
        else:
            scenes[-1].steps.append(_sale(line, *columns))
    return scenes


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a file that say something: no comments, nothing empty."""
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        if text.strip() and not text.lstrip().startswith("#"):
            yield Line(f"{path.name}:{number}", text)


def cells(text: str) -> list[str]:
    return [cell.strip() for cell in text.split("|")]


def _columns(line: Line) -> tuple[list[str], list[str]]:
    asked, expected = (cells(half) for half in line.text.split("=>", 1))
    unknown = [name for name in asked if name not in INPUTS] + [name for name in expected if name not in ANSWERS]
    if unknown:
        raise line.misread(f"no column is called {', '.join(unknown)}")
    return asked, expected


def _sale(line: Line, asked: list[str], expected: list[str]) -> SaleLine:
    left, right = (cells(half) for half in line.text.split("=>", 1))
    if (len(left), len(right)) != (len(asked), len(expected)):
        raise line.misread(f"{len(asked)} and {len(expected)} cells are wanted, here are {len(left)} and {len(right)}")
    return SaleLine(line, dict(zip(asked, left, strict=True)), dict(zip(expected, right, strict=True)))


def minor(text: str) -> int:
    """``128.00`` in minor units."""
    match = re.fullmatch(r"(\d+)\.(\d\d)", text)
    if not match:
        raise ValueError(f"{text!r} is no amount like 128.00")
    return int(match[1]) * 100 + int(match[2])


def duration_s(text: str) -> int:
    """``90s``, ``15m``, ``24h``, ``7d`` in seconds."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if not match:
        raise ValueError(f"{text!r} is no duration like 90s, 15m, 24h or 7d")
    return int(match[1]) * DURATION_S[match[2]]
