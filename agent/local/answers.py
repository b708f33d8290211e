"""What the local API answers, for whoever writes a program against it: the shapes that `/v1/openapi.json` describes.

The one rule: these describe and never filter. A field that is listed here is there; a newer agent may tell more.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from agent.core.authorization import HoldState
from agent.core.operators import Role

SaleState = Literal[
    "waiting", "asking", "choosing", "approved", "declined", "unknown",
    "reversed", "expired", "voided", "refunded_in_part", "refunded",
]  # fmt: skip
"""waiting (for a code) → choosing (if it asks for offers) → asking → approved or declined; declined: another code may
follow. approved → reversed, expired, voided, refunded_in_part, refunded. unknown: the ledger is silent; ask again."""


NextDeed = Literal[
    "choice", "preview", "dismissal", "abandonment", "capture", "reversal", "void", "refund", "reprint",
    "merchant-code",
]  # fmt: skip


class Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


class AmountView(Answer):
    minor: int
    currency: str


class Texts(Answer):
    """Sentences in the lane's language; a customer's display gets the customer's alone."""

    customer: str
    cashier: str | None = None
    next: str | None = None


class Offer(Answer):
    """A plan and all that it costs; ``statement`` is sent back with the choice."""

    plan: str
    name: str
    statement: str
    amount: AmountView
    payments: list[dict[str, Any]]
    fee_minor: int
    total_minor: int
    nominal_percent: str
    effective_percent: str


class OwnCode(Answer):
    """The code that the lane shows while it waits for somebody to pay it, and for how long it may be paid."""

    text: str
    left_s: int


class SaleView(Answer):
    """Where a sale stands. What is not known yet is left out; ``attempt`` 0: no code was decided. ``may``: the calls
    behind `/v1/sales/{sale_id}/` that its state allows now."""

    sale_id: str
    attempt: int
    state: SaleState
    mode: str | None
    may: list[NextDeed] | None = None
    hold: HoldState | None = None
    lender: str | None = None
    account: str | None = None
    response_code: str | None = None
    reason: str | None = None
    authorization_code: str | None = None
    amount: AmountView | None = None
    plan: Offer | None = None
    offers: list[Offer] | None = None
    captured: AmountView | None = None
    refunded: AmountView | None = None
    expires_at: int | None = None
    recorded_at: int | None = None
    waiting_for_code: bool | None = None
    own_code: OwnCode | None = None
    printed: bool | None = None
    acknowledged: bool | None = None
    texts: Texts | None = None


class SalesView(Answer):
    """Sales that have an attempt, the newest first. ``more``: there are others, or sales so old that they were not
    looked at; a day finds those."""

    sales: list[SaleView]
    more: bool


class OffersView(Answer):
    state: Literal["choosing"]
    lender: str
    offers: list[Offer]
    reason: str | None
    texts: Texts


class RefundView(Answer):
    """A refund of another lane's sale, or this lane's own sale after its refund."""

    sale_id: str
    state: str


class Operator(Answer):
    operator: str
    role: Role


class Operators(Answer):
    """``needs``: the role that each sensitive action needs; empty as long as there are no operators."""

    operators: list[Operator]
    signed_in: Operator | None
    needs: dict[str, Role]
    idle_max_s: int


class SignedIn(Operator):
    """``session`` is for the header `Counterfoil-Operator`; a page has it in a cookie instead."""

    session: str | None = None


class Health(Answer):
    """``state`` broken: something does not work; ``stands_in``: it would sell without a line too; ``training``: nothing
    here is real money."""

    state: Literal["good", "attention", "broken"]
    stands_in: bool
    link_up: bool
    training: bool
    conditions: list[str]


class CounterView(Answer):
    """The sale at the counter, None if there is none. A customer's display gets no more than is listed here."""

    last_event_id: str
    sale: SaleView | None
    merchant: dict[str, Any]
    currency: str
    lenders: dict[str, str]
    training: bool


class TrainingView(Answer):
    """How the line and the printer's roll of a training counter are now."""

    line: Literal["up", "cut"]
    paper: Literal["in", "out"]


class PageLinkView(Answer):
    """``path`` behind http://127.0.0.1:PORT opens the page, once, within ``valid_s`` seconds."""

    page: str
    path: str
    valid_s: int


class Problem(Answer):
    """RFC 9457. ``title`` is a stable word, ``hint`` says what to do."""

    type: str
    title: str
    status: int
    detail: str
    hint: str
