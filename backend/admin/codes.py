"""What a lender's app does with a code that a counter shows: an account pays it.

The one rule: it goes the way that an app's own backend would go, and is refused in the words that an app would show.
"""

from __future__ import annotations

import json

from backend.admin.named import lender_with, token_of
from backend.admin.operation import Answer, Refused
from backend.compose import Backend
from backend.shown_codes import CodeRefused


def pay(backend: Backend, *, code: str, account: str, lender: str | None = None) -> Answer:
    """The account pays the sale of ``code``, the text of a merchant-presented QR code."""
    by = lender_with(backend, account, lender)
    try:
        answer = json.loads(backend.pay_code(code.strip(), by.lender, token_of(account)))
    except CodeRefused as refused:
        raise Refused(f"{refused} ({refused.reason})") from None
    paid = {"lender": by.lender, "account": account, "amount_minor": answer["amount"]["minor"]}
    return paid | {"currency": answer["amount"]["currency"], "authorization_code": answer["authorization_code"]}
