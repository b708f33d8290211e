"""The life of a hold: one attempt of a sale, from intent to its end. A table, and a fold over journal entries.

The one rule: an event that the table does not name changes nothing and is refused with ``HoldRefused``.

    intended --online_outcome/authorization--> authorized --capture--> captured
        |                                          |----reversal-----> reversed
        '--decline--> declined

A hold that is neither captured nor reversed stays authorized.
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
    CAPTURED = "captured"
    REVERSED = "reversed"


class HoldEvent(StrEnum):
    INTEND = "intend"
    APPROVE = "approve"
    DECLINE = "decline"
    CAPTURE = "capture"
    REVERSE = "reverse"


TRANSITIONS: Final[Mapping[tuple[HoldState, HoldEvent], HoldState]] = {
    (HoldState.NONE, HoldEvent.INTEND): HoldState.INTENDED,
    (HoldState.NONE, HoldEvent.APPROVE): HoldState.AUTHORIZED,
    (HoldState.NONE, HoldEvent.DECLINE): HoldState.DECLINED,
    (HoldState.INTENDED, HoldEvent.APPROVE): HoldState.AUTHORIZED,
    (HoldState.INTENDED, HoldEvent.DECLINE): HoldState.DECLINED,
    (HoldState.AUTHORIZED, HoldEvent.CAPTURE): HoldState.CAPTURED,
    (HoldState.AUTHORIZED, HoldEvent.REVERSE): HoldState.REVERSED,
}

FINAL: Final = frozenset({HoldState.DECLINED, HoldState.CAPTURED, HoldState.REVERSED})
APPROVED: Final = frozenset({HoldState.AUTHORIZED, HoldState.CAPTURED})


class HoldRefused(Exception):
    """The event does not fit the hold's state."""

    def __init__(self, state: HoldState, event: HoldEvent) -> None:
        super().__init__(f"a hold that is {state} cannot {event}")
        self.state, self.event = state, event


def next_state(state: HoldState, event: HoldEvent) -> HoldState:
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise HoldRefused(state, event) from None


def event_of(kind: str, body: Mapping[str, Any]) -> HoldEvent | None:
    """What a journal entry does to its hold; None for entries that concern no hold."""
    match kind:
        case Kind.ONLINE_INTENT:
            return HoldEvent.INTEND
        case Kind.AUTHORIZATION:
            return HoldEvent.APPROVE
        case Kind.ONLINE_OUTCOME:
            return HoldEvent.APPROVE if body["approved"] else HoldEvent.DECLINE
        case Kind.DECLINE:
            return HoldEvent.DECLINE
        case Kind.CAPTURE:
            return HoldEvent.CAPTURE
        case Kind.REVERSAL:
            return HoldEvent.REVERSE
    return None


@dataclass(frozen=True, slots=True)
class Hold:
    """One attempt of a sale as the fold of its entries.

    ``open_debit_minor`` is what its intent reserves of the lease and no outcome has settled yet;
    ``lease_minor`` is what it has spent of the lease; ``mode`` is ``online`` or ``stand_in`` once decided; ``code`` is
    the digest of the scanned code, by which a repeated request is told from a new attempt; ``plan`` is the body of its
    ``Choice`` of instalments in CBOR, ``coupon`` the id of the coupon that it uses up.
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

    @property
    def is_approved(self) -> bool:
        return self.state in APPROVED

    def apply(self, kind: str, body: Mapping[str, Any]) -> Hold:
        """The hold after one more entry. Raises HoldRefused when the entry does not fit."""
        event = event_of(kind, body)
        if event is None:
            return self
        state, changes = next_state(self.state, event), self._lease_changes(event, body.get("lease"))
        if event in (HoldEvent.INTEND, HoldEvent.APPROVE, HoldEvent.DECLINE):
            changes |= {name: body[name] for name in _IDENTITY if body.get(name) is not None}
            changes |= _chosen(body.get("plan"))
        if event in (HoldEvent.APPROVE, HoldEvent.DECLINE):
            changes |= {
                "mode": "online" if kind == Kind.ONLINE_OUTCOME else "stand_in",
                "response_code": body["response_code"],
                "reason": body["reason"],
                "authorization_code": body.get("authorization_code"),
            }
        return replace(self, state=state, **changes)

    def _lease_changes(self, event: HoldEvent, lease: Mapping[str, Any] | None) -> dict[str, Any]:
        """An intent reserves; whatever follows it spends or restores, and an outcome ends the reservation."""
        if event is HoldEvent.INTEND:
            debit_minor, epoch = (lease["debit_minor"], lease["epoch"]) if lease else (0, None)
            return {"open_debit_minor": debit_minor, "lease_epoch": epoch}
        changes = {"open_debit_minor": 0} if event in (HoldEvent.APPROVE, HoldEvent.DECLINE) else {}
        if lease:
            changes |= {"lease_minor": self.lease_minor + lease["delta_minor"], "lease_epoch": lease["epoch"]}
        return changes


def _chosen(plan: Mapping[str, Any] | None) -> dict[str, bytes | None]:
    return {"plan": cbor.encode(dict(plan)), "coupon": plan["coupon"]} if plan else {}


_IDENTITY: Final = ("account", "amount_minor", "currency", "capture", "code")
