"""The interface of a rail: how a wallet is asked for money, and how it gets it back.

The one rule: every call is idempotent by the attempt's key (a refund by its part, too), so whoever did not hear an
answer may ask again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from backend.holds import Attempt


class PaymentState(StrEnum):
    """How a payment stands at its rail."""

    UNKNOWN = "unknown"  # the rail has not heard of it
    PENDING = "pending"  # the customer is asked for a password, or the rail is not sure
    PAID = "paid"
    DECLINED = "declined"  # also: cancelled, or given back


class RailUnreachable(Exception):
    """The rail did not answer: what was asked may have taken effect, or not."""


@dataclass(frozen=True, slots=True)
class Payment:
    """``response_code`` says why it was declined (ISO 8583 field 39)."""

    state: PaymentState
    response_code: str | None = None


class Rail(Protocol):
    """A wallet's payments. ``rail`` stands where a lender stands in every key; ``currency`` is ISO 4217;
    ``fee_basis_points`` is the merchant's fee in hundredths of a percent. Every call raises RailUnreachable, and ends
    within a second or so: who waits longer for the customer asks again."""

    rail: str
    name: str
    currency: str
    fee_basis_points: int

    async def charge(self, key: Attempt, amount_minor: int, code: str) -> Payment:
        """Take the amount from the wallet that shows ``code`` (16 to 24 digits, used once)."""
        ...

    async def query(self, key: Attempt) -> Payment: ...

    async def cancel(self, key: Attempt) -> None:
        """End a payment whatever became of it: what is pending is closed, what was paid is given back, and a charge
        under this key that arrives later is declined."""
        ...

    async def refund(self, key: Attempt, amount_minor: int, part: str) -> None:
        """Give back some or all of a payment that was confirmed to the merchant; each ``part``, a name, once."""
        ...
