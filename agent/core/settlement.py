"""Settlement: counts and amounts of a batch (a lane's business day), the same fold on both sides.

The one rule: totals come from journal entries alone, so lane and backend can only differ if their journals do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent.core.journal import Kind
from agent.core.plans import PLAN_ID

STAND_IN: Final = "stand_in"
NAMES: Final = ("approved", "declined", "captured", "reversed", "expired", "voided", "refunded", STAND_IN)
"""``stand_in`` are those of ``approved`` that the lane decided alone; ``refunded`` are refunds made at this lane,
whichever lane sold."""

_COUNTED: Final[Mapping[str, tuple[str, ...]]] = {
    Kind.DECLINE: ("declined",),
    Kind.CAPTURE: ("captured",),
    Kind.REVERSAL: ("reversed",),
    Kind.EXPIRY: ("expired",),
    Kind.VOID: ("voided",),
    Kind.REFUND: ("refunded",),
}


PLAN_PREFIX: Final = "plan."
"""Before the id of a plan: those of ``approved`` that were sold by it. These names are there only if they count."""


def tally(kind: str, body: Mapping[str, Any]) -> tuple[str, ...]:
    """Under which names an entry counts, each with the entry's ``amount_minor``; () for entries that move no money."""
    match kind:
        case Kind.AUTHORIZATION:
            return ("approved", STAND_IN, *_by_plan(body))
        case Kind.ONLINE_OUTCOME:
            return ("approved", *_by_plan(body)) if body["approved"] else ("declined",)
        case Kind.REFUND_OUTCOME:
            return ("refunded",) if body["approved"] else ()
    return _COUNTED.get(kind, ())


def _by_plan(body: Mapping[str, Any]) -> tuple[str, ...]:
    """A name only for what is shaped as a plan's id: the backend tallies whatever lanes send."""
    plan = body.get("plan")
    plan_id = plan.get("id") if isinstance(plan, Mapping) else None
    return (PLAN_PREFIX + plan_id,) if isinstance(plan_id, str) and PLAN_ID.fullmatch(plan_id) else ()


@dataclass(frozen=True, slots=True)
class Total:
    count: int = 0
    minor: int = 0

    def plus(self, minor: int) -> Total:
        return Total(self.count + 1, self.minor + minor)


@dataclass(slots=True)
class Totals:
    """Totals by name; every name is always there, so that a missing sale shows as a zero."""

    by_name: dict[str, Total] = field(default_factory=lambda: dict.fromkeys(NAMES, Total()))

    def add(self, kind: str, body: Mapping[str, Any]) -> None:
        for name in tally(kind, body):
            self.by_name[name] = self.by_name.get(name, Total()).plus(body["amount_minor"])

    def to_wire(self) -> dict[str, dict[str, int]]:
        """``{"approved": {"count": 3, "minor": 38400}, ...}``"""
        return {name: {"count": total.count, "minor": total.minor} for name, total in self.by_name.items()}


def net_minor(totals: Mapping[str, Mapping[str, int]]) -> int:
    """What the batch is worth to the merchant before fees: captured, less what was voided and given back."""
    return totals["captured"]["minor"] - totals["voided"]["minor"] - totals["refunded"]["minor"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which the two halves of a batch differ; ``lane`` and ``backend`` are what each of them says.

    ``what``: ``total`` (``name``; each says {count, minor}), ``entry`` (``number``, with the sale and amount that it is
    about; each says what it made of it, ``reason`` why), ``chain_head`` (each says its hash), ``settled_before``
    (with other figures) or ``unnamed`` (the backend says that they differ and not where).
    """

    what: str
    name: str = ""
    number: int = 0
    lane: Mapping[str, int] | str = ""
    backend: Mapping[str, int] | str = ""
    reason: str = ""
    sale_id: str | None = None
    minor: int = 0


def differences(ours: Mapping[str, Mapping[str, int]], theirs: Mapping[str, Mapping[str, int]]) -> list[Difference]:
    """The totals in which two halves differ; [] when they match."""
    return [
        Difference("total", name, lane={**_NOTHING, **ours.get(name, {})}, backend={**_NOTHING, **theirs.get(name, {})})
        for name in [*NAMES, *sorted((ours.keys() | theirs.keys()) - set(NAMES))]
        if dict(ours.get(name, {})) != dict(theirs.get(name, {}))
    ]


_NOTHING: Final[Mapping[str, int]] = {"count": 0, "minor": 0}
