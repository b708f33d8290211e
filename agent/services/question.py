"""The question to the backend about an attempt: the body of POST /v1/authorizations.

The one rule: the code that the customer showed is in the question and nowhere else that lasts.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agent.core.journal import Head
from agent.services.entries import Attempt
from agent.services.offers import Chosen


def authorization_request(
    attempt: Attempt,
    intent: Head,
    shown: Mapping[str, Any],
    lease: Mapping[str, int] | None = None,
    chosen: Chosen | None = None,
) -> dict[str, Any]:
    """``shown`` is ``pass``, ``wallet_code`` or ``merchant_code``; ``intent`` is where the journal ends with the
    attempt's intent."""
    return {
        "lender": attempt.lender,
        "sale_id": attempt.sale.sale_id,
        "attempt": attempt.number,
        "epoch": intent.epoch,
        "intent_number": intent.number,
        "amount": attempt.sale.amount.to_wire(),
        **shown,
        "scanned_at": datetime.fromtimestamp(attempt.scanned_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "category": attempt.sale.merchant_category,
        "capture": attempt.capture,
        "lease": dict(lease) if lease else None,
        "plan": _plan(chosen) if chosen else None,
    }


def _plan(chosen: Chosen) -> dict[str, Any]:
    return {
        "id": chosen.choice.plan_id,
        "statement": urlsafe_b64encode(chosen.choice.statement).rstrip(b"=").decode(),
        "sold_on": chosen.statement.sold_on.isoformat(),
        "coupon": chosen.coupon,
    }
