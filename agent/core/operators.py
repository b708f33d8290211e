"""Operators of a lane: who they are, what each role may do, and how long a wrong PIN locks.

The one rule: an operator is a number or a short name, never a person's; a PIN is known by its hash alone. A wrong PIN
is counted before it is looked at, so that neither a power cut nor two tries at once give a guess for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,15}$"
PIN: Final = r"^[0-9]{4,12}$"
OPERATORS_MAX: Final = 64
TRIES_MAX: Final = 5
"""Wrong PINs in a row that cost nothing but the try."""
LOCK_S: Final = 30
LOCK_MAX_S: Final = 3600
"""The first lock lasts ``LOCK_S``, and each after it twice as long, up to this."""


class Role(StrEnum):
    CASHIER = "cashier"
    SUPERVISOR = "supervisor"


class Action(StrEnum):
    """What needs somebody to answer for it, where a lane has operators."""

    VOID = "void"
    REFUND = "refund"
    DRAWER = "drawer"
    SETTLE = "settle"
    SHIFT = "shift"


NEEDS: Final[Mapping[Action, Role]] = {
    Action.VOID: Role.SUPERVISOR,
    Action.REFUND: Role.SUPERVISOR,
    Action.DRAWER: Role.SUPERVISOR,
    Action.SETTLE: Role.CASHIER,
    Action.SHIFT: Role.CASHIER,
}
SIGNED_IN: Final = "signed_in"
LOCKED_OUT: Final = "locked_out"


@dataclass(frozen=True, slots=True)
class Operator:
    """``failures``: wrong PINs since the last right one; ``locked_until_s``: UTC seconds, 0: not locked."""

    name: str
    role: Role
    pin_hash: str
    failures: int = 0
    locked_until_s: int = 0

    def may(self, action: Action) -> bool:
        return self.role in (Role.SUPERVISOR, NEEDS[action])

    def locked_s(self, now_s: int) -> int:
        """How long the PIN is not looked at, in seconds; a clock that was turned back makes it no longer than ever."""
        return min(max(0, self.locked_until_s - now_s), LOCK_MAX_S)

    def tried(self, now_s: int) -> Operator:
        """One more try, which is wrong until it is known to be right."""
        failures = self.failures + 1
        over = failures - TRIES_MAX
        lock_s = min(LOCK_S * 2 ** min(over, 20), LOCK_MAX_S) if over >= 0 else 0
        return replace(self, failures=failures, locked_until_s=now_s + lock_s if lock_s else 0)

    def recognised(self) -> Operator:
        return replace(self, failures=0, locked_until_s=0)


def is_name(text: str) -> bool:
    return re.fullmatch(NAME, text) is not None


def is_pin(text: str) -> bool:
    """Whether it can be a PIN: digits, and not one digit alone."""
    return re.fullmatch(PIN, text, re.ASCII) is not None and len(set(text)) > 1
