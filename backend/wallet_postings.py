"""What the journal entries of a wallet's sale do: to the sale's hold and to the payment at its rail, to no account.

The one rule: the lane's journaled outcome wins. What it declined or reversed is given back at the rail, whatever the
rail had said; what it approved without the rail's word is the merchant's to bear.
"""

from __future__ import annotations

from typing import Final

from agent.core.authorization import OPEN, UNDECIDED, HoldEvent, HoldRefused, HoldState, event_of, next_state
from agent.core.journal import Entry, Kind
from agent.core.money import MINOR_MAX
from backend import holds, payments, postings
from backend.entries import attempt_of
from backend.holds import Attempt
from backend.postings import Result
from backend.schema import Hold

_OF_A_SALE: Final = frozenset(
    {
        Kind.ONLINE_INTENT, Kind.ONLINE_OUTCOME, Kind.AUTHORIZATION, Kind.DECLINE,
        Kind.CAPTURE, Kind.REVERSAL, Kind.EXPIRY, Kind.VOID, Kind.REFUND,
    }
)  # fmt: skip
_STORED: Final = frozenset({Kind.PRINT, Kind.SETTLEMENT, Kind.REFUND_INTENT})
_GIVES_BACK: Final = frozenset({HoldEvent.VOID, HoldEvent.REFUND_PART})

REST: Final = "rest"
"""The part of a payment that was never captured, as its rail knows it."""


def post(entry: Entry, now_s: int) -> Result:
    """The effect of an entry whose lender is a rail. To be called inside a transaction."""
    if entry.kind not in _OF_A_SALE:
        return Result() if entry.kind in _STORED else Result("parked", "kind_unknown")
    key, amount_minor = attempt_of(entry), entry.body.get("amount_minor")
    if key is None or type(amount_minor) is not int or not 0 < amount_minor <= MINOR_MAX:
        return Result("parked", "body_malformed")
    if entry.kind == Kind.ONLINE_OUTCOME and type(entry.body.get("approved")) is not bool:
        return Result("parked", "body_malformed", minor=amount_minor)
    event = event_of(entry.kind, entry.body)
    assert event is not None, "only kinds that concern a hold come here"
    if event in _GIVES_BACK:
        return _give_back(entry, key, amount_minor)
    return _move(key, event, amount_minor, now_s)


def _move(key: Attempt, event: HoldEvent, amount_minor: int, now_s: int) -> Result:
    if event is not HoldEvent.INTEND:
        payments.bury(key, now_s)
    hold = holds.find(key)
    before = HoldState(hold.state)
    try:
        state = next_state(before, event)
    except HoldRefused as refused:
        if event is HoldEvent.REVERSE and before in UNDECIDED:
            payments.undo(key, payments.CANCEL, now_s)
        return Result("parked", f"hold_{refused.state}", minor=amount_minor)
    if before in OPEN and amount_minor > hold.amount_minor - hold.uncovered_minor:
        return Result("parked", "capture_exceeds_hold", minor=amount_minor)
    hold.state, hold.amount_minor = str(state), hold.amount_minor or amount_minor
    result = _effect(hold, key, event, amount_minor, now_s)
    holds.save(hold)
    return result


def _effect(hold: Hold, key: Attempt, event: HoldEvent, amount_minor: int, now_s: int) -> Result:
    match event:
        case HoldEvent.APPROVE:
            return _approved(hold, key)
        case HoldEvent.CAPTURE_PART | HoldEvent.CAPTURE:
            hold.uncovered_minor += amount_minor
        case HoldEvent.DECLINE:
            payments.undo(key, payments.CANCEL, now_s)
        case HoldEvent.REVERSE | HoldEvent.EXPIRE if not hold.uncovered_minor:
            payments.undo(key, payments.REFUND, now_s)
    rest_minor = hold.amount_minor - hold.uncovered_minor
    if hold.state == HoldState.CAPTURED and rest_minor:
        payments.owe(key, payments.REFUND, rest_minor, REST)
    return Result()


def _give_back(entry: Entry, key: Attempt, amount_minor: int) -> Result:
    """What the customer has paid goes back at the rail, as far as it was captured."""
    hold = holds.find(key)
    if hold.state not in postings.GIVES_BACK:
        return Result("parked", f"hold_{hold.state}", minor=amount_minor)
    if given_minor := min(amount_minor, holds.refundable(hold)):
        payments.owe(key, payments.REFUND, given_minor, f"{entry.lane}/{entry.epoch}-{entry.number}")
    return postings.given_back(hold, amount_minor, entry)


def _approved(hold: Hold, key: Attempt) -> Result:
    payment = payments.find(key)
    if payment is None or payment.state != payments.PAID or payment.amount_minor != hold.amount_minor:
        return Result("disputed", "wallet_not_paid", None, hold.amount_minor, "merchant")
    if holds.is_sold_otherwise(key):
        return Result("disputed", "sale_approved_twice", None, hold.amount_minor, "merchant")
    return Result()
