"""What the local API answers about the shop's day: its close, its shifts, its figures.

The one rule: these describe and never filter. Amounts are minor units, times UTC seconds.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from agent.core.operators import NAME
from agent.local.answers import Answer


class TotalView(Answer):
    """So many, and what they come to."""

    count: int
    minor: int


class OpenItemView(Answer):
    """An entry that the backend did not simply accept; ``bearer``: who bears it, None: not said."""

    epoch: int
    number: int
    state: str
    reason: str
    bearer: str | None
    kind: str
    sale_id: str | None
    minor: int


class CarriedView(Answer):
    """What a close carries on: not acknowledged, held and not captured, disputed and parked."""

    unsent: int
    held: TotalView
    items: list[OpenItemView]


class DifferenceView(Answer):
    """One place in which the halves of a batch differ, and what each of them says there."""

    what: Literal["total", "entry", "chain_head", "settled_before", "unnamed"]
    name: str
    number: int
    lane: dict[str, int] | str
    backend: dict[str, int] | str


class BatchView(Answer):
    """A closed batch. ``pending``: the backend could not answer yet; ``print_job`` None: nothing is printed for this
    call; ``differences`` name each total in which the halves differ."""

    lender: str
    epoch: int
    batch: int
    first_number: int
    last_number: int
    chain_head: str
    totals: dict[str, TotalView]
    state: Literal["matched", "different", "pending"]
    differences: list[DifferenceView]
    exceptions: int
    open: CarriedView
    was_closed: bool
    print_job: int | None


class SoldView(Answer):
    """What a shift sold on credit of one lender."""

    lender: str
    totals: dict[str, TotalView]


class ShiftView(Answer):
    """``difference_minor``: counted less expected, None as long as it is open; ``opened`` and ``closed`` are places of
    the journal: epoch, number."""

    number: int
    operator: str = Field(pattern=NAME)
    currency: str
    state: Literal["open", "closed"]
    float_minor: int
    cash_minor: int
    expected_minor: int
    counted_minor: int | None
    difference_minor: int | None
    opened: list[int]
    opened_at: int
    closed: list[int] | None
    closed_at: int | None
    lenders: list[SoldView]
    print_job: int | None


class Both(Answer):
    """What was approved and what was declined of one kind."""

    approved: TotalView
    declined: TotalView


class HourView(Both):
    hour: int = Field(ge=0, le=23)


class PlanView(Both):
    """``plan`` None: without instalments."""

    plan: str | None


class LenderView(Both):
    lender: str


class ReasonView(TotalView):
    outcome: Literal["approved", "declined"]
    response_code: str
    reason: str
    text: str


class BasketView(TotalView):
    average_minor: int | None


class Baskets(Answer):
    """``other`` None: the POS has not told what was sold without credit."""

    credit: BasketView
    other: BasketView | None


class InsightsView(Answer):
    """A calendar day of the store; every breakdown adds up to ``approved`` and ``declined``."""

    day: date
    timezone: str
    currency: str
    is_over: bool
    approved: TotalView
    declined: TotalView
    offline: TotalView
    with_coupon: TotalView
    undone: TotalView
    refunded: TotalView
    hours: list[HourView]
    plans: list[PlanView]
    lenders: list[LenderView]
    reasons: list[ReasonView]
    basket: Baskets


class DayView(Answer):
    """The day that a word of other tenders counts for."""

    day: date
