"""The written protocol between lane and backend: lane-protocol.md (every rule, numbered) and openapi.json (every call).

The one rule: a backend's team needs these two files and nothing else of the project.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

_RULE: Final = re.compile(r"^- \*\*([A-Z]-\d\d)\*\* (.+?)$", re.MULTILINE)
_UNCHECKED: Final = re.compile(r"^\| ([A-Z]-\d\d) \| (.+?) \|$", re.MULTILINE)


def text() -> str:
    """lane-protocol.md."""
    return files(__package__).joinpath("lane-protocol.md").read_text(encoding="utf-8")


@cache
def rules() -> Mapping[str, str]:
    """Every rule: its id and its sentence."""
    return dict(_RULE.findall(text()))


@cache
def unchecked() -> Mapping[str, str]:
    """The rules that nobody can check from outside, and why."""
    return dict(_UNCHECKED.findall(text()))
