"""Sales by wallet: the backend between a lane and the rail of its customer's wallet. No credit account has part in it.

The one rule: an attempt is written before the rail is asked, and no transaction is open while a rail is; so whatever
is cut off in between, the same question finds out what became of the money.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from peewee import Database

from agent.core.decision import RESPONSE_CODES
from backend import lanes, payments, recovery
from backend.database import transact
from backend.holds import Attempt
from backend.lenders import Randomness
from backend.payments import ASKED, CANCEL, DECLINED, PAID, REFUSED, UNREACHABLE
from backend.problems import Problem
from backend.rails.rail import Payment, PaymentState, Rail, RailUnreachable
from backend.schema import WalletPayment
from backend.wire import AuthorizationRequest

INSUFFICIENT_FUNDS: Final = "51"
OTHER_CURRENCY: Final = (RESPONSE_CODES["currency_mismatch"], "currency_mismatch")

log = logging.getLogger("counterfoil.backend")


@dataclass(frozen=True, slots=True)
class Wallets:
    """The calls of the lane protocol for a wallet. ``clock`` gives UTC seconds. All raise Problem."""

    database: Database
    rails: Mapping[str, Rail]
    clock: Callable[[], int]
    randomness: Randomness

    async def pay(self, request: AuthorizationRequest, raw: bytes, lane: str) -> bytes:
        """How the attempt stands: paid, declined, or pending until the rail knows more."""
        rail, key = self._rail(request.lender), Attempt(lane, request.lender, request.sale_id, request.attempt)
        recovery.check_over()
        if transact(self.database, lambda: self._begin(request, key, hashlib.sha256(raw).digest(), rail)):
            await self._charge(rail, key, request.amount.minor, request.wallet_code or "")
        payment = payments.find(key)
        assert payment is not None, "it was written just now"
        return payments.answer(payment, rail.currency)

    async def inquire(self, key: Attempt) -> bytes:
        """How a payment stands now; what is pending is asked about at the rail."""
        rail, payment = self._rail(key.lender), payments.find(key)
        if payment is None:
            raise Problem("authorization_unknown")
        if payment.state == ASKED:
            try:
                said = await rail.query(key)
            except RailUnreachable:
                said = Payment(PaymentState.PENDING)
            payment = transact(self.database, lambda: self._take(key, said))
        return payments.answer(payment, rail.currency)

    async def tend(self) -> int:
        """Do what rails have still to do; returns how much of it is done. Called from time to time."""
        done = 0
        for each in payments.owed():
            key, rail = each.key, self.rails.get(each.key.lender)
            try:
                if rail is None:
                    raise RailUnreachable(f"{key.lender} is not served any more")
                await (rail.cancel(key) if each.duty == CANCEL else rail.refund(key, each.amount_minor, each.part))
            except RailUnreachable as error:
                log.warning("a wallet payment is not given back yet: %s", error)
                continue
            transact(self.database, lambda each=each: payments.done(each))  # type: ignore[misc]
            done += 1
        return done

    def _rail(self, rail: str) -> Rail:
        try:
            return self.rails[rail]
        except KeyError:
            raise Problem("lender_unknown", rail) from None

    def _begin(self, request: AuthorizationRequest, key: Attempt, said: bytes, rail: Rail) -> bool:
        """Whether the rail is to be asked: the attempt is new, or the process ended before it heard the rail."""
        lanes.of_epoch(key.lane, request.epoch)
        payment = payments.find(key)
        if payment is not None:
            if bytes(payment.request_hash) not in (b"", said):
                raise Problem("idempotency_conflict", f"attempt {request.attempt} of {request.sale_id}")
            return bool(payment.state == ASKED)
        payments.begin(key, said, request.amount.minor, self.clock())
        if request.amount.currency != rail.currency:
            self._decline(key, OTHER_CURRENCY)
            return False
        return True

    async def _charge(self, rail: Rail, key: Attempt, amount_minor: int, code: str) -> None:
        try:
            said = await rail.charge(key, amount_minor, code)
        except RailUnreachable:
            transact(self.database, lambda: self._give_up(key, amount_minor))
            return
        transact(self.database, lambda: self._take(key, said))

    def _take(self, key: Attempt, said: Payment) -> WalletPayment:
        """What the rail said becomes the answer, unless the lane has decided while the rail was asked."""
        payment = payments.find(key)
        assert payment is not None, "it is written before a rail is asked, and never deleted"
        if payment.state == DECLINED and said.state in (PaymentState.PAID, PaymentState.PENDING):
            payments.owe(key, CANCEL, payment.amount_minor)
        elif payment.state == ASKED and said.state is PaymentState.PAID:
            code = f"{int.from_bytes(self.randomness(4), 'big') % 1_000_000:06d}"
            payments.decide(payment, PAID, payments.APPROVED, self.clock(), code)
        elif payment.state == ASKED and said.state is PaymentState.DECLINED:
            why = (said.response_code or INSUFFICIENT_FUNDS, REFUSED)
            payments.decide(payment, DECLINED, why, self.clock())
        return payment

    def _give_up(self, key: Attempt, amount_minor: int) -> None:
        """The rail may have taken the money for all we know: it is told to give it back."""
        payments.owe(key, CANCEL, amount_minor)
        self._decline(key, UNREACHABLE)

    def _decline(self, key: Attempt, why: tuple[str, str]) -> None:
        payment = payments.find(key)
        if payment is not None and payment.state == ASKED:
            payments.decide(payment, DECLINED, why, self.clock())
