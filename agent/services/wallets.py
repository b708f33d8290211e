"""Sales that a wallet pays: asked for online, waited for while the customer confirms, and never decided alone.

The one rule: the intent is on the disk before the question leaves, and an attempt without the wallet's word ends as a
decline. The backend gives back what was paid all the same (lease rule 6).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from agent.core.authorization import Hold
from agent.core.trusted_time import ClockReading
from agent.errors import UplinkRefused, UplinkUnavailable
from agent.ports import AttemptUnknown, Backend, Ledger
from agent.services import entries
from agent.services.entries import Attempt, Refusal
from agent.services.outcomes import Outcomes
from agent.services.question import authorization_request
from agent.services.recovery import INQUIRY_BUDGET_S, Recovery
from agent.services.timekeeping import LaneClock

LOG: Final = logging.getLogger(__name__)

# Response codes are of ISO 8583 field 39: 91 issuer inoperative, 68 response received too late, 17 cancelled by the
# customer.
OFFLINE: Final = Refusal("wallet_online_only", "91")
UNREACHABLE: Final = Refusal("wallet_unreachable", "91")
UNANSWERED: Final = Refusal("wallet_unanswered", "68")
ABANDONED: Final = Refusal("wallet_abandoned", "17")

Answer: TypeAlias = Mapping[str, Any] | AttemptUnknown | None


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a pending payment is asked about, and for how long the customer may take."""

    poll_s: float = 2.0
    wait_max_s: float = 60.0


@dataclass(slots=True)
class _Waiting:
    sale_id: str
    given_up: asyncio.Event


class WalletDesk:
    """Asks for payments by wallet and waits for them, one at a time: whoever calls holds the lane's turn."""

    def __init__(
        self,
        patience: Patience,
        ledger: Ledger,
        clock: LaneClock,
        backend: Backend,
        *,
        outcomes: Outcomes,
        recovery: Recovery,
        budget_s: float,
    ) -> None:
        self._patience, self._budget_s = patience, budget_s
        self._ledger, self._clock, self._backend = ledger, clock, backend
        self._outcomes, self._recovery = outcomes, recovery
        self._waiting: _Waiting | None = None
        self.tell: Callable[[str], None] = lambda _sale_id: None
        """Is told which sale begins to wait for its customer."""
        self._until_s: dict[tuple[str, str, int], float] = {}

    async def pay(self, attempt: Attempt, code: str, reading: ClockReading) -> Hold:
        """The attempt, decided by the wallet, or declined because nobody said anything in time."""
        hold = Hold(attempt.lender, attempt.sale.sale_id, attempt.number)
        if not self._backend.available:
            return self._declined(hold, attempt, OFFLINE, online_unknown=False)
        intent = entries.intent(attempt, None)
        self._ledger.record([intent], reading)
        hold = hold.apply(intent.kind, intent.body)
        request = authorization_request(attempt, self._ledger.head, {"wallet_code": code})
        try:
            answer: Answer = await self._backend.authorize(request, self._budget_s)
        except UplinkUnavailable:
            return self._declined(hold, attempt, OFFLINE, online_unknown=False)
        except UplinkRefused as refused:
            LOG.warning("the backend refuses to ask the wallet: %s", refused.message, extra={"code": refused.code})
            return self._declined(hold, attempt, UNREACHABLE, online_unknown=True)
        return await self._waited_for(hold, attempt, answer, request)

    async def resolve(self, hold: Hold, *, may_wait: bool) -> Hold:
        """Close an intent that a restart left open: ask, and with ``may_wait`` ask again while the customer confirms;
        else what is still pending is declined."""
        answer = await self._recovery.inquire(hold)
        if may_wait and _is_pending(answer):
            return await self._waited_for(hold, Attempt.of(hold), answer, None)
        return self._concluded(hold, Attempt.of(hold), answer, UNANSWERED)

    async def look(self, hold: Hold) -> bool:
        """Ask once about an intent that a restart left open; whether it is closed now. It stays open while the customer
        confirms, for as long as one may take."""
        answer, now_s = await self._recovery.inquire(hold), asyncio.get_running_loop().time()
        key = (hold.lender, hold.sale_id, hold.attempt)
        if _is_pending(answer) and now_s < self._until_s.setdefault(key, now_s + self._patience.wait_max_s):
            return False
        self._until_s.pop(key, None)
        self._concluded(hold, Attempt.of(hold), answer, UNANSWERED)
        return True

    def is_waiting(self, sale_id: str) -> bool:
        """Whether the sale waits for its customer to confirm, just now."""
        return self._waiting is not None and self._waiting.sale_id == sale_id

    def abandon(self, sale_id: str) -> bool:
        """The cashier waits no longer. False: this sale does not wait for a wallet."""
        if self._waiting is None or self._waiting.sale_id != sale_id:
            return False
        self._waiting.given_up.set()
        return True

    async def _waited_for(
        self, hold: Hold, attempt: Attempt, answer: Answer, request: Mapping[str, Any] | None
    ) -> Hold:
        """Ask every few seconds until the payment is decided, the time is over, or the cashier gives up."""
        ends_s = asyncio.get_running_loop().time() + self._patience.wait_max_s
        self._waiting = waiting = _Waiting(hold.sale_id, asyncio.Event())
        if not _is_final(answer):
            self.tell(hold.sale_id)
        try:
            while not _is_final(answer) and not waiting.given_up.is_set():
                if asyncio.get_running_loop().time() >= ends_s:
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(waiting.given_up.wait(), self._patience.poll_s)
                answer = await self._asked_again(hold, request)
        finally:
            self._waiting = None
        return self._concluded(hold, attempt, answer, ABANDONED if waiting.given_up.is_set() else UNANSWERED)

    async def _asked_again(self, hold: Hold, request: Mapping[str, Any] | None) -> Answer:
        """How the payment stands. A question that never arrived is sent once more, as it was."""
        try:
            answer = await self._backend.inquire(hold.lender, hold.sale_id, hold.attempt, INQUIRY_BUDGET_S)
            if isinstance(answer, AttemptUnknown) and request is not None:
                return await self._backend.authorize(request, self._budget_s)
        except (UplinkUnavailable, UplinkRefused):
            return None
        return answer

    def _concluded(self, hold: Hold, attempt: Attempt, answer: Answer, otherwise: Refusal) -> Hold:
        """The wallet's word becomes the outcome; without it the attempt is declined."""
        if isinstance(answer, Mapping) and _is_final(answer) and attempt.is_answered_by(answer, 0):
            draft = entries.online_outcome(attempt, answer, None)
            return self._outcomes.record(hold, draft, self._clock.read(hold.lender))
        return self._declined(hold, attempt, otherwise, online_unknown=True)

    def _declined(self, hold: Hold, attempt: Attempt, refusal: Refusal, *, online_unknown: bool) -> Hold:
        reading = self._clock.read(hold.lender)
        draft = entries.decline(attempt, refusal, clock_source=reading.source, online_unknown=online_unknown)
        return self._outcomes.record(hold, draft, reading)


def _is_pending(answer: Answer) -> bool:
    return isinstance(answer, Mapping) and bool(answer.get("pending"))


def _is_final(answer: Answer) -> bool:
    return isinstance(answer, Mapping) and not answer.get("pending")
