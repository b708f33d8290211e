"""What a trainee lets happen at the counter: a customer shows a code, the line is cut, the roll ends.

The one rule: each scene happens to a scanner, a printer or a line, and reaches the lane as it would in a shop.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import cycle
from typing import Any, Final

from agent.core.cose import SigningKey
from agent.core.trust import AID_DEFAULT
from agent.demo.props import Line, Phone
from agent.training.settings import SCANNER

OLD_S: Final = 600
TORN_CHARS: Final = 40
"""Off the end of a code that a cracked screen shows."""
ROLL: Final[Mapping[str, tuple[str, str]]] = {"paper_out": ("paper-out", ""), "paper_in": ("well", "printer")}
"""Scenes of the printer's roll: what is done, and to which device where several could be meant."""


class Scenes:
    """``rich`` customers can pay, each once in a while, ``poor`` ones have no credit left."""

    def __init__(self, line: Line, rich: Iterator[Phone], poor: Iterator[Phone]) -> None:
        self._line, self._paper = line, "in"
        self._codes: Mapping[str, Callable[[], str]] = {
            "pays": lambda: next(rich).code(),
            "expired": lambda: next(rich).code(age_s=OLD_S),
            "torn": lambda: next(rich).code()[:-TORN_CHARS],
            "declined": lambda: next(poor).code(),
            "step_up": lambda: next(rich).code(user_verified=False),
            "real": lambda: _real(next(rich)).code(),
        }

    async def play(self, act_virtually: Callable[[str, str, str], Awaitable[str]], what: str) -> dict[str, Any]:
        """Let it happen; how line and roll are then. Raises DeviceUnavailable."""
        if what in self._codes:
            await act_virtually("scan", SCANNER, self._codes[what]())
        elif what in ROLL:
            await act_virtually(*ROLL[what], "")
            self._paper = what.removeprefix("paper_")
        elif what == "cut":
            self._line.cut()
        elif what == "restore":
            self._line.restore()
        return {"line": "up" if self._line.is_whole else "cut", "paper": self._paper}


def customers(phones: list[Phone]) -> Iterator[Phone]:
    """One after the other: who bought a moment ago is no customer whom a policy finds suspicious."""
    return cycle(phones)


def _real(phone: Phone) -> Phone:
    """As a phone with real credit would show it here: of another application, and of no lender of this lane."""
    return Phone(SigningKey.from_seed("p256", os.urandom(32)), phone.credential, AID_DEFAULT)
