"""Refunds of slips of other lanes: asked for online, durable before they are told, and never decided alone.

The one rule: the intent is on the disk before the question leaves, and what nobody can confirm is declined; that
outcome wins over whatever the backend did (lease rules 6 and 9). Asking again is safe: one request is one refund.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from agent.core.money import Money
from agent.core.slip_refund import RefundState, SlipRefund, refund_after
from agent.errors import IdempotencyConflict, UplinkRefused, UplinkUnavailable
from agent.ports import Backend, Ledger, Slip
from agent.services import entries
from agent.services.entries import Refusal
from agent.services.hold_desk import Turn
from agent.services.timekeeping import LaneClock

# ISO 8583 field 39: 91 issuer inoperative, 68 response received too late, 12 invalid transaction.
OFFLINE: Final = Refusal("refund_online_only", "91")
UNANSWERED: Final = Refusal("refund_unanswered", "68")
INTERRUPTED: Final = Refusal("refund_interrupted", "68")
INVALID: Final = "12"
BUDGET_S: Final = 5.0
"""A cashier waits so long for a refund: it has no offline way, unlike a sale."""


class SlipRefunds:
    """``print_slip`` makes what is printed of an approved refund; ``announce`` tells everybody who listens."""

    def __init__(
        self,
        ledger: Ledger,
        clock: LaneClock,
        backend: Backend,
        turn: Turn,
        *,
        make_slip: Callable[[SlipRefund], Slip],
        announce: Callable[[SlipRefund], None],
    ) -> None:
        self._ledger, self._clock, self._backend, self._turn = ledger, clock, backend, turn
        self._make_slip, self._announce = make_slip, announce

    async def refund(self, lender: str, lane: str, sale_id: str, amount: Money, request: str) -> SlipRefund:
        """What becomes of the refund; the same request gets the same answer. Raises IdempotencyConflict and ledger
        faults."""
        async with self._turn():
            asked = SlipRefund(lender, request, RefundState.ASKED, lane, sale_id, amount.minor, amount.currency)
            known = self._ledger.slip_refund(lender, request)
            if known is not None:
                before = (known.lane, known.sale_id, Money(known.amount_minor, known.currency))
                if before != (lane, sale_id, amount):
                    raise IdempotencyConflict(f"refund {request} was another one before")
                return known if known.state is not RefundState.ASKED else await self._asked(known, INTERRUPTED)
            intent = entries.slip_refund_intent(asked)
            self._ledger.record([intent], self._clock.read(lender))
            if not self._backend.available:
                return self._concluded(asked, None, OFFLINE)
            return await self._asked(asked, UNANSWERED)

    async def resolve_interrupted(self) -> None:
        """After a restart: ask again about every refund that was asked for, and close it."""
        async with self._turn():
            for refund in self._ledger.open_slip_refunds():
                await self._asked(refund, INTERRUPTED)

    async def _asked(self, refund: SlipRefund, unanswered: Refusal) -> SlipRefund:
        try:
            answer = await self._backend.refund(self._question(refund), BUDGET_S)
        except UplinkUnavailable:
            answer = None
        except UplinkRefused as refused:
            return self._concluded(refund, None, Refusal(refused.problem or unanswered.reason, INVALID))
        if answer is None or not _is_answered_by(refund, answer):
            return self._concluded(refund, None, unanswered)
        refusal = None if answer["approved"] else Refusal(answer["reason"], answer["response_code"])
        return self._concluded(refund, answer["attempt"], refusal)

    def _question(self, refund: SlipRefund) -> dict[str, Any]:
        return {
            "lender": refund.lender,
            "request_id": refund.request,
            "lane": refund.lane,
            "sale_id": refund.sale_id,
            "amount": Money(refund.amount_minor, refund.currency).to_wire(),
            "epoch": self._ledger.head.epoch,
        }

    def _concluded(self, refund: SlipRefund, attempt: int | None, refusal: Refusal | None) -> SlipRefund:
        draft = entries.slip_refund_outcome(refund, attempt, refusal)
        done = refund_after(refund, draft.kind, refund.lender, draft.body)
        assert done is not None, "an outcome follows an intent"
        slip = self._make_slip(done) if refusal is None else None
        self._ledger.record([draft], self._clock.read(refund.lender), slip=slip)
        self._backend.poke()
        self._announce(done)
        return done


def _is_answered_by(refund: SlipRefund, answer: Mapping[str, Any]) -> bool:
    """An answer that contradicts its question is no answer."""
    return not answer["approved"] or answer["amount"] == Money(refund.amount_minor, refund.currency).to_wire()
