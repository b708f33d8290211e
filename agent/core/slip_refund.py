"""A refund of a sale that another lane made: asked for online, by what the slip says, and never decided alone.

The one rule: a request has one outcome, and the lane's journaled one is it (lease rules 6 and 9): the backend sets the
amount aside when it is asked, and moves money only when the outcome's entry arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from agent.core.journal import Kind


class RefundState(StrEnum):
    ASKED = "asked"
    APPROVED = "approved"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class SlipRefund:
    """``request`` is the caller's id; ``lane``, ``sale_id`` and, once known, ``attempt`` name the sale; ``reason`` is
    a text key and ``response_code`` ISO 8583 field 39."""

    lender: str
    request: str
    state: RefundState
    lane: str
    sale_id: str
    amount_minor: int
    currency: str
    attempt: int | None = None
    response_code: str | None = None
    reason: str | None = None


def refund_after(before: SlipRefund | None, kind: str, lender: str, body: Mapping[str, Any]) -> SlipRefund | None:
    """The refund after one more entry; None if the entry is of no such refund."""
    if kind == Kind.REFUND_INTENT:
        names = ("request", "lane", "sale_id", "amount_minor", "currency")
        return SlipRefund(lender, state=RefundState.ASKED, **{name: body[name] for name in names})
    if kind == Kind.REFUND_OUTCOME and before is not None:
        state = RefundState.APPROVED if body["approved"] else RefundState.DECLINED
        return replace(before, state=state, **{name: body[name] for name in ("attempt", "response_code", "reason")})
    return None
