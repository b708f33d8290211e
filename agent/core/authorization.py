"""The life of a hold: one attempt of a sale, from intent to its end. A table, and a fold over journal entries.

The one rule: an event that the table does not name, or an amount above what is there, changes nothing and is refused
with ``HoldRefused``.

    intended --online_outcome/authorization--> authorized ----capture----> captured ----void----> voided
        |                                       |  |  '-reversal-> reversed   |
        '--decline--> declined                  |  '----expiry---> expired    '-refund-> partly_refunded -> refunded
                                                '-capture in part-> partly_captured -capture/reversal/expiry-> captured

Of a hold that is captured in part, a reversal or an expiry releases the rest, and what was captured stays a debt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from agent.core import cbor
from agent.core.journal import Kind


class HoldState(StrEnum):
    NONE = "none"
    INTENDED = "intended"
    AUTHORIZED = "authorized"
    DECLINED = "declined"
    PARTLY_CAPTURED = "partly_captured"
    CAPTURED = "captured"
    REVERSED = "reversed"
    EXPIRED = "expired"
    VOIDED = "voided"
    PARTLY_REFUNDED = "partly_refunded"
    REFUNDED = "refunded"


class HoldEvent(StrEnum):
    INTEND = "intend"
    APPROVE = "approve"
    DECLINE = "decline"
    CAPTURE_PART = "capture_part"
    CAPTURE = "capture"
    REVERSE = "reverse"
    EXPIRE = "expire"
    VOID = "void"
    REFUND_PART = "refund_part"
    REFUND = "refund"


_S, _E = HoldState, HoldEvent
TRANSITIONS: Final[Mapping[tuple[HoldState, HoldEvent], HoldState]] = {
    (_S.NONE, _E.INTEND): _S.INTENDED,
    (_S.NONE, _E.APPROVE): _S.AUTHORIZED,
    (_S.NONE, _E.DECLINE): _S.DECLINED,
    (_S.INTENDED, _E.APPROVE): _S.AUTHORIZED,
    (_S.INTENDED, _E.DECLINE): _S.DECLINED,
    (_S.AUTHORIZED, _E.CAPTURE_PART): _S.PARTLY_CAPTURED,
    (_S.AUTHORIZED, _E.CAPTURE): _S.CAPTURED,
    (_S.AUTHORIZED, _E.REVERSE): _S.REVERSED,
    (_S.AUTHORIZED, _E.EXPIRE): _S.EXPIRED,
    (_S.PARTLY_CAPTURED, _E.CAPTURE_PART): _S.PARTLY_CAPTURED,
    (_S.PARTLY_CAPTURED, _E.CAPTURE): _S.CAPTURED,
    (_S.PARTLY_CAPTURED, _E.REVERSE): _S.CAPTURED,
    (_S.PARTLY_CAPTURED, _E.EXPIRE): _S.CAPTURED,
    (_S.CAPTURED, _E.VOID): _S.VOIDED,
    (_S.CAPTURED, _E.REFUND_PART): _S.PARTLY_REFUNDED,
    (_S.CAPTURED, _E.REFUND): _S.REFUNDED,
    (_S.PARTLY_REFUNDED, _E.REFUND_PART): _S.PARTLY_REFUNDED,
    (_S.PARTLY_REFUNDED, _E.REFUND): _S.REFUNDED,
}

FINAL: Final = frozenset({_S.DECLINED, _S.REVERSED, _S.EXPIRED, _S.VOIDED, _S.REFUNDED})
OPEN: Final = frozenset({_S.AUTHORIZED, _S.PARTLY_CAPTURED})
"""Something is still held."""
APPROVED: Final = OPEN | {_S.CAPTURED, _S.PARTLY_REFUNDED}
"""The customer owes the sale, or will."""
UNDECIDED: Final = frozenset({_S.NONE, _S.INTENDED})

ABOVE_HOLD: Final = "capture_above_hold"
ABOVE_CAPTURED: Final = "refund_above_captured"


class HoldRefused(Exception):
    """The event does not fit the hold's state, or its amount what is there; ``reason`` is a text key."""

    def __init__(self, state: HoldState, event: HoldEvent, reason: str = "") -> None:
        super().__init__(f"a hold that is {state} cannot {event}{reason and f': {reason}'}")
        self.state, self.event, self.reason = state, event, reason or refusal(state)


def refusal(state: HoldState) -> str:
    """The text key that says why a hold in this state takes an event no more, and what can be done instead."""
    return "sale_unknown" if state is HoldState.NONE else f"sale_{state}"


def next_state(state: HoldState, event: HoldEvent) -> HoldState:
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise HoldRefused(state, event) from None


def event_of(kind: str, body: Mapping[str, Any]) -> HoldEvent | None:
    """What a journal entry does to its hold; None for entries that concern no hold. Whether a refund gives back the
    last of it only the hold can tell (``refund_event``)."""
    match kind:
        case Kind.ONLINE_OUTCOME:
            return HoldEvent.APPROVE if body["approved"] else HoldEvent.DECLINE
        case Kind.CAPTURE:
            return HoldEvent.CAPTURE if body.get("final", True) else HoldEvent.CAPTURE_PART
    return _EVENTS.get(kind)


_EVENTS: Final[Mapping[str, HoldEvent]] = {
    Kind.ONLINE_INTENT: HoldEvent.INTEND,
    Kind.AUTHORIZATION: HoldEvent.APPROVE,
    Kind.DECLINE: HoldEvent.DECLINE,
    Kind.REVERSAL: HoldEvent.REVERSE,
    Kind.EXPIRY: HoldEvent.EXPIRE,
    Kind.VOID: HoldEvent.VOID,
    Kind.REFUND: HoldEvent.REFUND_PART,
}


def refund_event(amount_minor: int, left_minor: int) -> HoldEvent:
    """Whether a refund of what is ``left_minor`` to refund leaves something."""
    return HoldEvent.REFUND_PART if amount_minor < left_minor else HoldEvent.REFUND


@dataclass(frozen=True, slots=True)
class Hold:
    """One attempt of a sale as the fold of its entries.

    ``open_debit_minor`` is what its intent reserves of the lease and no outcome has settled yet;
    ``lease_minor`` is what it has spent of the lease; ``mode`` is ``online`` or ``stand_in`` once decided; ``code`` is
    the digest of the scanned code, by which a repeated request is told from a new attempt; ``plan`` is the body of its
    ``Choice`` of instalments in CBOR, ``coupon`` the id of the coupon that it uses up. ``captured_minor`` in
    ``captures`` parts is a debt, ``refunded_minor`` of it was given back at this lane. ``expires_at`` (UTC seconds) is
    when what is still held ends by itself; None: never, or nothing is held.
    """

    lender: str
    sale_id: str
    attempt: int
    state: HoldState = HoldState.NONE
    account: bytes | None = None
    amount_minor: int = 0
    currency: str = ""
    mode: str | None = None
    response_code: str | None = None
    reason: str | None = None
    authorization_code: str | None = None
    open_debit_minor: int = 0
    lease_epoch: int | None = None
    lease_minor: int = 0
    capture: str = "at_once"
    code: bytes | None = None
    plan: bytes | None = None
    coupon: bytes | None = None
    captured_minor: int = 0
    captures: int = 0
    refunded_minor: int = 0
    expires_at: int | None = None

    @property
    def is_approved(self) -> bool:
        return self.state in APPROVED

    @property
    def held_minor(self) -> int:
        """What can still be captured."""
        return self.amount_minor - self.captured_minor if self.state in OPEN else 0

    @property
    def refundable_minor(self) -> int:
        """What of the captured can still be given back, as far as this lane knows."""
        return self.captured_minor - self.refunded_minor

    @property
    def owed_minor(self) -> int:
        """What the sale claims of the account's credit: held, or captured and not given back."""
        return self.held_minor + self.refundable_minor

    def apply(self, kind: str, body: Mapping[str, Any]) -> Hold:
        """The hold after one more entry. Raises HoldRefused when the entry does not fit."""
        event = event_of(kind, body)
        if event is None:
            return self
        if event is HoldEvent.REFUND_PART:
            event = refund_event(body["amount_minor"], self.refundable_minor)
        state, changes = next_state(self.state, event), self._lease_changes(event, body.get("lease"))
        changes |= self._amount_changes(event, body)
        if event in (HoldEvent.INTEND, HoldEvent.APPROVE, HoldEvent.DECLINE):
            changes |= {name: body[name] for name in _IDENTITY if body.get(name) is not None}
            changes |= _chosen(body.get("plan"))
        if event in (HoldEvent.APPROVE, HoldEvent.DECLINE):
            changes |= {
                "mode": "online" if kind == Kind.ONLINE_OUTCOME else "stand_in",
                "response_code": body["response_code"],
                "reason": body["reason"],
                "authorization_code": body.get("authorization_code"),
                "expires_at": body.get("expires_at"),
            }
        return replace(self, state=state, **changes)

    def _amount_changes(self, event: HoldEvent, body: Mapping[str, Any]) -> dict[str, Any]:
        """What an event makes of the captured, the refunded and the end of the hold. Raises HoldRefused."""
        ends = {"expires_at": None}
        match event:
            case HoldEvent.CAPTURE_PART | HoldEvent.CAPTURE:
                captured = {"captured_minor": self.captured_minor + body["amount_minor"], "captures": self.captures + 1}
                if captured["captured_minor"] > self.amount_minor:
                    raise HoldRefused(self.state, event, ABOVE_HOLD)
                return captured | (ends if event is HoldEvent.CAPTURE else {})
            case HoldEvent.REFUND_PART | HoldEvent.REFUND:
                if body["amount_minor"] > self.refundable_minor:
                    raise HoldRefused(self.state, event, ABOVE_CAPTURED)
                return {"refunded_minor": self.refunded_minor + body["amount_minor"]}
            case HoldEvent.VOID:
                return {"refunded_minor": self.captured_minor}
            case HoldEvent.REVERSE | HoldEvent.EXPIRE:
                return ends
        return {}

    def _lease_changes(self, event: HoldEvent, lease: Mapping[str, Any] | None) -> dict[str, Any]:
        """An intent reserves; whatever follows it spends or restores, and an outcome ends the reservation."""
        if event is HoldEvent.INTEND:
            debit_minor, epoch = (lease["debit_minor"], lease["epoch"]) if lease else (0, None)
            return {"open_debit_minor": debit_minor, "lease_epoch": epoch}
        changes: dict[str, Any] = {"open_debit_minor": 0} if event in (HoldEvent.APPROVE, HoldEvent.DECLINE) else {}
        if lease:
            changes |= {"lease_minor": self.lease_minor + lease["delta_minor"], "lease_epoch": lease["epoch"]}
        return changes


def _chosen(plan: Mapping[str, Any] | None) -> dict[str, bytes | None]:
    return {"plan": cbor.encode(dict(plan)), "coupon": plan["coupon"]} if plan else {}


_IDENTITY: Final = ("account", "amount_minor", "currency", "capture", "code")
