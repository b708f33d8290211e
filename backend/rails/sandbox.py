"""A rail without a wallet behind it, for tests, demos and conformance: the last digit of the code says what happens.

The one rule: it moves nobody's money, and keeps the promises of the interface as a real one has to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from peewee import Database

from agent.core.classify import WALLETS
from backend.database import inserting, load, put, selecting, transact
from backend.holds import Attempt
from backend.rails.rail import Payment, PaymentState, RailUnreachable
from backend.schema import SandboxPayment, SandboxReturn

PASSWORD_S: Final = 6
"""How long the customer of a code that ends in 6 takes to enter a password."""

FEE_BASIS_POINTS: Final = 38
CURRENCY: Final = "CNY"
NAMES: Final[Mapping[str, str]] = {
    "wallet_alipay": "支付宝 Alipay",
    "wallet_wechat": "微信支付 WeChat Pay",
    "wallet_unionpay": "云闪付 UnionPay",
}

AFTER_PASSWORD, FOR_EVER, REFUSED, UNREACHABLE = "6", "7", "8", "9"
"""Last digits of a code; any other is paid at once."""

INSUFFICIENT_FUNDS: Final = "51"

_FIND: Final = selecting(
    SandboxPayment, SandboxPayment.lane == "", SandboxPayment.lender == "", SandboxPayment.sale_id == "",
    SandboxPayment.attempt == 0,
)  # fmt: skip
_SAVE: Final = inserting(SandboxPayment, "REPLACE")
_FIND_RETURN: Final = selecting(
    SandboxReturn, SandboxReturn.lane == "", SandboxReturn.lender == "", SandboxReturn.sale_id == "",
    SandboxReturn.attempt == 0, SandboxReturn.part == "",
)  # fmt: skip
_RETURN: Final = inserting(SandboxReturn)


class SandboxRail:
    """``clock`` gives UTC seconds."""

    currency = CURRENCY
    fee_basis_points = FEE_BASIS_POINTS

    def __init__(self, rail: str, database: Database, clock: Callable[[], int]) -> None:
        self.rail, self.name = rail, NAMES[rail]
        self._database, self._clock = database, clock

    async def charge(self, key: Attempt, amount_minor: int, code: str) -> Payment:
        outcome = code[-1]
        if outcome == UNREACHABLE:
            raise RailUnreachable("the code ends in 9")

        def take() -> None:
            if _find(key) is None:
                _save(key, amount_minor=amount_minor, outcome=outcome, asked_at=self._clock(), returned_minor=0)

        transact(self._database, take)
        return await self.query(key)

    async def query(self, key: Attempt) -> Payment:
        row = _find(key)
        if row is None:
            return Payment(PaymentState.UNKNOWN)
        if row.outcome == REFUSED or 0 < row.amount_minor <= row.returned_minor:
            return Payment(PaymentState.DECLINED, INSUFFICIENT_FUNDS)
        waits = row.outcome == FOR_EVER
        waits = waits or (row.outcome == AFTER_PASSWORD and self._clock() < row.asked_at + PASSWORD_S)
        return Payment(PaymentState.PENDING if waits else PaymentState.PAID)

    async def cancel(self, key: Attempt) -> None:
        def end() -> None:
            row = _find(key)
            kept: dict[str, Any] = row.__data__ if row else {"amount_minor": 0, "asked_at": self._clock()}
            _save(key, **kept | {"outcome": REFUSED, "returned_minor": kept["amount_minor"]})

        transact(self._database, end)

    async def refund(self, key: Attempt, amount_minor: int, part: str) -> None:
        def give_back() -> None:
            row, name = _find(key), asdict(key) | {"part": part}
            if row is not None and load(SandboxReturn, _FIND_RETURN, *name.values()) is None:
                put(SandboxReturn, _RETURN, name | {"amount_minor": amount_minor})
                _save(key, **row.__data__ | {"returned_minor": row.returned_minor + amount_minor})

        transact(self._database, give_back)


def all_sandboxes(database: Database, clock: Callable[[], int]) -> dict[str, SandboxRail]:
    """One for each wallet, by its id."""
    return {rail: SandboxRail(rail, database, clock) for rail in WALLETS}


def _find(key: Attempt) -> SandboxPayment | None:
    return load(SandboxPayment, _FIND, key.lane, key.lender, key.sale_id, key.attempt)


def _save(key: Attempt, **columns: Any) -> None:
    put(SandboxPayment, _SAVE, columns | asdict(key))
