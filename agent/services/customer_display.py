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
TRAINING: Final = "training"
"""The word on every screen of a training counter."""
Rows = tuple[str, ...]


def screens(view: Mapping[str, Any], language: Language, *, is_training: bool = False) -> tuple[Rows, ...]:
    """The same two rows for displays with the lane's characters, with Latin ones, and with ASCII alone."""
    if is_training:
        return _in_training(view, language)
    state = view["state"]
    if state not in STATES:
        return ((),)
    amount = Money.from_wire(view["amount"]) if view.get("amount") else None
    plain = f"{amount.currency} {_figures(str(amount))}" if amount else ""
    shown = str(amount) if amount else ""
    return ((displayed(language, state), shown), (displayed("en", state), shown), (displayed("en", state), plain))


def _figures(amount: str) -> str:
    return "".join(char for char in amount if char in "0123456789.,-")


def _in_training(view: Mapping[str, Any], language: Language) -> tuple[Rows, ...]:
    """The word of training is there whatever else is: before the amount, whose currency gives way to it."""
    told = {} if view["state"] not in STATES else view
    figures = _figures(str(Money.from_wire(told["amount"]))) if told.get("amount") else ""
    own, latin = ((displayed(each, told["state"]) if told else "") for each in (language, "en"))
    marks = displayed(language, TRAINING), displayed("en", TRAINING)
    return tuple((word, f"{mark} {figures}".rstrip()) for word, mark in ((own, marks[0]), *[(latin, marks[1])] * 2))
