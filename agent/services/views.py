"""A sale as the page, the POS and the command line are shown it.

The one rule: what is shown of an outcome is read from the ledger, never from what the counter remembers.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from agent.core.authorization import Hold, HoldState
from agent.core.disclosure import Statement, plan_left
from agent.core.print_job import PrintJobState
from agent.core.receipt import masked
from agent.core.slip_refund import RefundState, SlipRefund
from agent.ports import Ledger
from agent.services import statements
from agent.services.next_deeds import next_deeds
from agent.services.offers import Menu, disclosed
from agent.texts import Field, Language, text

SHOWN_STATES: Final = {
    HoldState.INTENDED: "asking",
    HoldState.AUTHORIZED: "approved",
    HoldState.PARTLY_CAPTURED: "approved",
    HoldState.CAPTURED: "approved",
    HoldState.DECLINED: "declined",
    HoldState.REVERSED: "reversed",
    HoldState.EXPIRED: "expired",
    HoldState.VOIDED: "voided",
    HoldState.PARTLY_REFUNDED: "refunded_in_part",
    HoldState.REFUNDED: "refunded",
}

SHOWN_TO_CUSTOMERS: Final = (
    "sale_id", "attempt", "state", "mode", "amount", "lender", "plan", "offers", "looked_at", "recorded_at", "said",
    "captured", "refunded", "authorization_code", "waiting_for_code", "own_code",
)  # fmt: skip
"""Of a sale; the customer's display stands where the next in the queue reads it too."""


def for_customer(view: dict[str, Any]) -> dict[str, Any]:
    """A sale's view without account, reason, response code, and what is for the cashier to read."""
    shown = {name: view[name] for name in SHOWN_TO_CUSTOMERS if name in view}
    return shown | {"texts": {"customer": view.get("texts", {}).get("customer", "")}}


class Views:
    """Values for JSON, with sentences in the lane's language."""

    def __init__(self, ledger: Ledger, language: Language) -> None:
        self._ledger, self._language = ledger, language

    def choosing(self, menu: Menu, refused: str | None) -> dict[str, Any]:
        """What the customer may choose from; ``reason``: why the last choice or the coupon could not be taken."""
        offers = [statements.to_json(said, self._language) for said in menu.statements]
        shown = {"state": "choosing", "lender": menu.lender.lender, "offers": offers, "reason": refused}
        return shown | self.texts(refused or "choosing")

    def offers(self, menu: Menu) -> dict[str, Any]:
        """Offers that no sale has asked for yet."""
        return self.choosing(menu, menu.coupon_reason)

    def outcome(self, hold: Hold) -> dict[str, Any]:
        """What became of an attempt, its slips and its upload. Raises ledger faults."""
        said = disclosed(self._ledger, hold)
        jobs = self._ledger.print_marks(hold.sale_id)
        return {
            "state": SHOWN_STATES[hold.state],
            "hold": str(hold.state),
            "attempt": hold.attempt,
            "lender": hold.lender,
            "account": masked(hold.account) if hold.account else None,
            "mode": hold.mode,
            "response_code": hold.response_code,
            "reason": hold.reason,
            "authorization_code": hold.authorization_code,
            "amount": {"minor": hold.amount_minor, "currency": hold.currency},
            "plan": statements.to_json(said, self._language) if said else None,
            "plan_left": _plan_left(said, hold),
            "captured": {"minor": hold.captured_minor, "currency": hold.currency},
            "refunded": {"minor": hold.refunded_minor, "currency": hold.currency},
            "may": next_deeds(self._ledger, hold),
            "expires_at": hold.expires_at,
            "recorded_at": self._ledger.sale_entries(hold.sale_id)[-1].entry.recorded_at,
            "print_jobs": [{"job_id": job.job_id, "state": job.state, "rung": job.rung} for job in jobs],
            "printed": any(job.state is PrintJobState.PRINTED for job in jobs),
            "acknowledged": self._is_acknowledged(hold.sale_id),
        } | self.texts(_text_key(hold))

    def _is_acknowledged(self, sale_id: str) -> bool:
        end = self._ledger.sale_end(sale_id)
        return end is not None and end.number <= self._ledger.cursor(end.epoch).acknowledged_through

    def refund_view(self, refund: SlipRefund) -> dict[str, Any]:
        """What became of a refund of another lane's sale."""
        return {
            "request_id": refund.request,
            "state": str(refund.state),
            "lender": refund.lender,
            "lane": refund.lane,
            "sale_id": refund.sale_id,
            "amount": {"minor": refund.amount_minor, "currency": refund.currency},
            "response_code": refund.response_code,
        } | self.texts("given_back" if refund.state is RefundState.APPROVED else refund.reason or "asking")

    def refusal(self, reason: str) -> tuple[str, str]:
        """Why something cannot be done with a sale, and what to do instead, in the cashier's words."""
        return text(self._language, reason, "cashier"), text(self._language, reason, "next")

    def texts(self, reason: str) -> dict[str, Any]:
        """The sentences of a reason, for the cashier and the customer, and what to do next; ``said`` is its key, for
        whoever shows them in another language."""
        return {"said": reason, "texts": {name: text(self._language, reason, name) for name in get_args(Field)}}


def _text_key(hold: Hold) -> str:
    """What to tell of a sale: why it was decided so, until something else became of it."""
    if hold.state is HoldState.CAPTURED and hold.capture == "later":
        return "captured"
    if hold.state is HoldState.PARTLY_CAPTURED:
        return "captured_in_part"
    shown = SHOWN_STATES[hold.state]
    return hold.reason or "asking" if shown in ("asking", "approved", "declined") else shown


def _plan_left(said: Statement | None, hold: Hold) -> dict[str, int] | None:
    """What refunds at this lane have left of the plan, minor units; None without a plan, or before any refund."""
    if said is None or not hold.refunded_minor:
        return None
    left = plan_left(said, hold.captured_minor, hold.refunded_minor)
    return {"principal_minor": left.principal_minor, "fee_minor": left.fee_minor, "total_minor": left.total_minor}
