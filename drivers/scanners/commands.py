"""What a scanner can be told on its serial line: beep, trigger, release, enable, disable. Rule: makers are data."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from drivers.errors import OptionError


@cache
def _table() -> dict[str, dict[str, str]]:
    table = json.loads(Path(__file__).with_name("commands.json").read_text(encoding="utf-8"))
    return {maker: row for maker, row in table.items() if maker != "about"}


def command(maker: str, name: str) -> bytes:
    """The bytes for `Scanner.send`. Raises OptionError when this maker's scanners know no such command."""
    known = _table().get(maker, {})
    if name not in known:
        there = ", ".join(sorted(known)) or f"known makers are {', '.join(_table())}"
        raise OptionError(f"a scanner of {maker} has no command {name!r}: {there}")
    return bytes.fromhex(known[name])
