"""A shift: one person at one drawer, from its float to its count, as a fold of the journal's two entries about it.

The one rule: an amount of a shift is of the drawer. Credit puts nothing into it, so what should be there is the float
and the cash that the till says it took; what was sold on credit is told beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agent.core.journal import Draft, Entry, Kind, Position


@dataclass(frozen=True, slots=True)
class Shift:
    """Times are UTC seconds, amounts minor units of ``currency``. ``closed`` None: it is open, and nothing was counted;
    ``cash_minor`` is what the till took in cash, less what it gave back (so it may be negative)."""

    number: int
    operator: str
    currency: str
    float_minor: int
    opened: Position
    opened_at: int
    closed: Position | None = None
    closed_at: int | None = None
    cash_minor: int = 0
    counted_minor: int | None = None

    @property
    def expected_minor(self) -> int:
        """What should be in the drawer."""
        return self.float_minor + self.cash_minor

    @property
    def difference_minor(self) -> int | None:
        """Counted less expected: negative, something is missing; None: not counted yet."""
        return None if self.counted_minor is None else self.counted_minor - self.expected_minor


def opening(before: Shift | None, operator: str, float_minor: int, currency: str) -> Draft:
    """The entry that opens the next shift."""
    number = before.number + 1 if before else 1
    body = {"shift": number, "operator": operator, "float_minor": float_minor, "currency": currency}
    return Draft(Kind.SHIFT_OPEN, body)


def closing(shift: Shift, counted_minor: int, cash_minor: int) -> Draft:
    """The entry that closes an open shift; it repeats what was opened, so that it stands for itself."""
    body = {"shift": shift.number, "operator": shift.operator, "float_minor": shift.float_minor}
    body |= {"currency": shift.currency, "opened": list(shift.opened), "opened_at": shift.opened_at}
    return Draft(Kind.SHIFT_CLOSE, body | {"cash_minor": cash_minor, "counted_minor": counted_minor})


def shift_of(entry: Entry) -> Shift:
    """The shift that a ``shift_open`` or ``shift_close`` entry tells of."""
    body = entry.body
    if entry.kind == Kind.SHIFT_OPEN:
        return _opened(body, entry.position, entry.recorded_at)
    opened = _opened(body, Position(*body["opened"]), body["opened_at"])
    return replace(
        opened, closed=entry.position, closed_at=entry.recorded_at,
        cash_minor=body["cash_minor"], counted_minor=body["counted_minor"],
    )  # fmt: skip


def _opened(body: Mapping[str, Any], opened: Position, opened_at: int) -> Shift:
    return Shift(body["shift"], body["operator"], body["currency"], body["float_minor"], opened, opened_at)
