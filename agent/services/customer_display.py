"""What the customer's line display says of a sale: one word of where it stands, and the amount.

The one rule: nothing of the account and no reason for a decline; everybody in the queue can read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agent.core.money import Money
from agent.texts import Language, displayed

STATES: Final = ("waiting", "asking", "choosing", "approved", "declined", "reversed", "voided", "refunded", "unknown")
"""Of the states of a sale, those of which the display has a word; at all others it is blank."""
Rows = tuple[str, ...]


def screens(view: Mapping[str, Any], language: Language) -> tuple[Rows, ...]:
    """The same two rows for displays with the lane's characters, with Latin ones, and with ASCII alone."""
    state = view["state"]
    if state not in STATES:
        return ((),)
    amount = Money.from_wire(view["amount"]) if view.get("amount") else None
    plain = f"{amount.currency} {_figures(str(amount))}" if amount else ""
    shown = str(amount) if amount else ""
    return ((displayed(language, state), shown), (displayed("en", state), shown), (displayed("en", state), plain))


def _figures(amount: str) -> str:
    return "".join(char for char in amount if char in "0123456789.,-")
