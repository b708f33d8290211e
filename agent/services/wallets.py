"""Sales that the customer's phone pays, by a wallet's code or by scanning the lane's own: asked for online, waited for
while the customer confirms, and never decided alone.

The one rule: the intent is on the disk before the question leaves, and an attempt without the other side's word ends as
a decline. The backend gives back what was paid all the same (lease rule 6).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, TypeAlias

from agent.core.authorization import Hold
from agent.core.classify import WALLETS
from agent.core.trusted_time import ClockReading
from agent.errors import UplinkRefused, UplinkUnavailable
from agent.ports import AttemptUnknown, Backend, Ledger
from agent.services import entries
from agent.services.entries import Attempt, Refusal
from agent.services.outcomes import Outcomes
from agent.services.question import authorization_request
from agent.services.recovery import INQUIRY_BUDGET_S, Recovery
from agent.services.shown_codes import ShownCode
from agent.services.timekeeping import LaneClock

LOG: Final = logging.getLogger(__name__)


# Response codes are of ISO 8583 field 39: 91 issuer inoperative, 68 response received too late, 17 cancelled by the
# customer.
class Refusals(NamedTuple):
    """How an attempt ends that the other side did not decide."""

    offline: Refusal
    unreachable: Refusal
    unanswered: Refusal
    abandoned: Refusal


def _refusals(of: str) -> Refusals:
    ends = {"online_only": "91", "unreachable": "91", "unanswered": "68", "abandoned": "17"}
    return Refusals(*(Refusal(f"{of}_{end}", response_code) for end, response_code in ends.items()))


OF_WALLET: Final = _refusals("wallet")
OF_CODE: Final = _refusals("code")

Answer: TypeAlias = Mapping[str, Any] | AttemptUnknown | None


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a pending payment is asked about, and for how long the customer may take."""

    poll_s: float = 2.0
    wait_max_s: float = 60.0


@dataclass(slots=True)
class _Waiting:
    """The attempt that is waited for; ``code``: the lane's own, as soon as the backend would take its payment."""

    hold: Hold
    given_up: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    code: ShownCode | None = None
    until_s: float = 0.0


def waits_for_phone(hold: Hold) -> bool:
    """Whether this intent is one of these: of a wallet, or of an account that nobody knows before it pays."""
    return hold.lender in WALLETS or hold.account is None


class WalletDesk:
    """Asks for payments and waits for them, one at a time: whoever calls holds the lane's turn."""

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
        """Is told which sale begins to wait for its customer, and when its code may be shown."""
        self._until_s: dict[tuple[str, str, int], float] = {}

    async def pay(self, attempt: Attempt, code: str | ShownCode, reading: ClockReading) -> Hold:
        """The attempt, decided by the wallet of ``code`` or by whoever pays the lane's own, or declined because nobody
        said anything in time."""
        hold, ends = Hold(attempt.lender, attempt.sale.sale_id, attempt.number), _refusals_of(attempt.lender)
        if not self._backend.available:
            return self._declined(hold, attempt, ends.offline, online_unknown=False)
        intent = entries.intent(attempt, None)
        self._ledger.record([intent], reading)
        hold = hold.apply(intent.kind, intent.body)
        shown = code.question if isinstance(code, ShownCode) else {"wallet_code": code}
        request = authorization_request(attempt, self._ledger.head, shown)
        try:
            answer: Answer = await self._backend.authorize(request, self._budget_s)
        except UplinkUnavailable:
            return self._declined(hold, attempt, ends.offline, online_unknown=False)
        except UplinkRefused as refused:
            LOG.warning("the backend refuses to ask for it: %s", refused.message, extra={"code": refused.code})
            return self._declined(hold, attempt, ends.unreachable, online_unknown=True)
        return await self._waited_for(hold, attempt, answer, request, code if isinstance(code, ShownCode) else None)

    async def resolve(self, hold: Hold, *, may_wait: bool) -> Hold:
        """Close an intent that a restart left open: ask, and with ``may_wait`` ask again while the customer confirms;
        else what is still pending is declined."""
        answer = await self._recovery.inquire(hold)
        if may_wait and _is_pending(answer):
            return await self._waited_for(hold, Attempt.of(hold), answer, None)
        return self._concluded(hold, Attempt.of(hold), answer, _refusals_of(hold.lender).unanswered)

    async def look(self, hold: Hold) -> bool:
        """Ask once about an intent that a restart left open; whether it is closed now. It stays open while the customer
        confirms, for as long as one may take."""
        answer, now_s = await self._recovery.inquire(hold), asyncio.get_running_loop().time()
        key = (hold.lender, hold.sale_id, hold.attempt)
        if _is_pending(answer) and now_s < self._until_s.setdefault(key, now_s + self._patience.wait_max_s):
            return False
        self._until_s.pop(key, None)
        self._concluded(hold, Attempt.of(hold), answer, _refusals_of(hold.lender).unanswered)
        return True

    def is_waiting(self, sale_id: str) -> bool:
        """Whether the sale waits for its customer to confirm in a wallet, just now."""
        waiting = self._waiting_for(sale_id)
        return waiting is not None and waiting.hold.lender in WALLETS

    def can_abandon(self, sale_id: str) -> bool:
        """Whether the sale waits for its customer's phone, by a wallet or by the lane's own code, just now."""
        return self._waiting_for(sale_id) is not None

    def code_of(self, sale_id: str) -> tuple[ShownCode, int] | None:
        """The lane's own code of this sale while it may be paid, and for how many seconds more."""
        waiting = self._waiting_for(sale_id)
        if waiting is None or waiting.code is None:
            return None
        return waiting.code, max(0, int(waiting.until_s - asyncio.get_running_loop().time()))

    def told(self, lender: str, sale_id: str, attempt: int) -> None:
        """The backend says that there is news of an attempt: ask at once."""
        waiting = self._waiting
        if waiting and (waiting.hold.lender, waiting.hold.sale_id, waiting.hold.attempt) == (lender, sale_id, attempt):
            waiting.woken.set()

    def abandon(self, sale_id: str) -> bool:
        """The cashier waits no longer. False: this sale does not wait for its customer's phone."""
        waiting = self._waiting_for(sale_id)
        if waiting is None:
            return False
        waiting.given_up = True
        waiting.woken.set()
        return True

    def _waiting_for(self, sale_id: str) -> _Waiting | None:
        return self._waiting if self._waiting is not None and self._waiting.hold.sale_id == sale_id else None

    async def _waited_for(
        self,
        hold: Hold,
        attempt: Attempt,
        answer: Answer,
        request: Mapping[str, Any] | None,
        code: ShownCode | None = None,
    ) -> Hold:
        """Ask every few seconds, and at once when told, until the payment is decided, the time is over, or the cashier
        gives up."""
        wait_max_s, ends = code.valid_s if code else self._patience.wait_max_s, _refusals_of(hold.lender)
        self._waiting = waiting = _Waiting(hold, until_s=asyncio.get_running_loop().time() + wait_max_s)
        if code is None and not _is_final(answer):
            self.tell(hold.sale_id)
        try:
            while not _is_final(answer) and not waiting.given_up:
                if code is not None and waiting.code is None and _is_pending(answer):
                    waiting.code = code
                    self.tell(hold.sale_id)
                if asyncio.get_running_loop().time() >= waiting.until_s:
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(waiting.woken.wait(), self._patience.poll_s)
                waiting.woken.clear()
                answer = await self._asked_again(hold, request)
        finally:
            self._waiting = None
        return self._concluded(hold, attempt, answer, ends.abandoned if waiting.given_up else ends.unanswered)

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
        """The other side's word becomes the outcome; without it the attempt is declined. Who pays the lane's own code
        is known from here on: an approval that does not say it is none."""
        payer = bytes.fromhex(answer.get("account") or "") if isinstance(answer, Mapping) else b""
        attempt = replace(attempt, account=payer or attempt.account)
        is_whole = attempt.lender in WALLETS or attempt.account is not None
        if (
            isinstance(answer, Mapping)
            and _is_final(answer)
            and attempt.is_answered_by(answer, 0)
            and (is_whole or not answer["approved"])
        ):
            draft = entries.online_outcome(attempt, answer, None)
            return self._outcomes.record(hold, draft, self._clock.read(hold.lender))
        return self._declined(hold, attempt, otherwise, online_unknown=True)

    def _declined(self, hold: Hold, attempt: Attempt, refusal: Refusal, *, online_unknown: bool) -> Hold:
        reading = self._clock.read(hold.lender)
        draft = entries.decline(attempt, refusal, clock_source=reading.source, online_unknown=online_unknown)
        return self._outcomes.record(hold, draft, reading)


def _refusals_of(lender: str) -> Refusals:
    return OF_WALLET if lender in WALLETS else OF_CODE


def _is_pending(answer: Answer) -> bool:
    return isinstance(answer, Mapping) and bool(answer.get("pending"))


def _is_final(answer: Answer) -> bool:
    return isinstance(answer, Mapping) and not answer.get("pending")
