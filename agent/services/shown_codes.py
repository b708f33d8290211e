"""The code that this lane shows for one attempt of a sale, so that its customer can pay it with the lender's app.

The one rule: a code is of one attempt and follows from it, so whoever makes it again makes the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent.core.merchant_code import MerchantCodeError, Payee, merchant_code, reference_of
from agent.core.money import Money
from agent.errors import CodeNotShown


@dataclass(frozen=True, slots=True)
class Sign:
    """Whom the lane's codes pay: the merchant's id at the lenders, its name and city in ASCII, its country (ISO 3166),
    its name as people read it; and for how long (seconds) a code may be paid."""

    merchant: str
    name: str
    city: str
    country: str
    local_name: str
    store: str
    valid_s: int = 120


@dataclass(frozen=True, slots=True)
class ShownCode:
    """The text of a QR code, whose app pays it, and for how many seconds."""

    text: str
    lender: str
    amount: Money
    valid_s: int

    @property
    def question(self) -> dict[str, Any]:
        """As the backend is asked to have it paid."""
        return {"merchant_code": {"text": self.text, "valid_s": self.valid_s}}


def shown_code(
    sign: Sign, lender: str, category: str, *, lane: str, sale_id: str, attempt: int, amount: Money
) -> ShownCode:
    """The code of an attempt. Raises CodeNotShown for what no code can say."""
    is_local = not sign.local_name.isascii()
    payee = Payee(
        lender,
        sign.merchant,
        category,
        sign.country,
        sign.name,
        sign.city,
        "zh" if is_local else "",
        sign.local_name if is_local else "",
    )
    reference = reference_of(lane, sale_id, attempt)
    try:
        text = merchant_code(payee, store=sign.store, lane=lane, reference=reference, amount=amount)
    except MerchantCodeError as error:
        raise CodeNotShown("code_unset", str(error)) from error
    return ShownCode(text, lender, amount, sign.valid_s)
