"""What a journal entry says, checked field by field before it moves anything.

The one rule: bytes that a lane signed may say anything. Here they become figures that the books can keep, or the
reason why the entry is set aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.core.authorization import HoldEvent, event_of
from agent.core.journal import INT_END, Entry, Kind
from agent.core.money import MINOR_MAX
from backend import refunds
from backend.holds import Attempt
from backend.lenders import Lender


class Parked(Exception):
    """The entry cannot be posted; its money has not moved. It never leaves ``postings.post``."""


@dataclass(frozen=True, slots=True)
class Books:
    """What posting needs besides the rows: the lenders, and the time in UTC seconds.

    ``asked`` is told which lane (its id, and the lender) asks for more than it is leased.
    """

    lenders: Mapping[str, Lender]
    now_s: int
    asked: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Facts:
    """The body of an entry of a sale, every field checked."""

    key: Attempt
    epoch: int
    lender: Lender
    event: HoldEvent
    amount_minor: int
    delta_minor: int
    account: bytes | None
    cti: bytes | None
    is_online: bool
    is_cap: bool
    is_final: bool
    approved_at: int
    expires_at: int | None
    code: str | None


def key_of(entry: Entry, books: Books) -> Attempt:
    lender_of(entry, books)
    key = attempt_of(entry)
    if key is None:
        raise Parked("body_malformed")
    return key


def facts_of(entry: Entry, books: Books) -> Facts:
    lender = lender_of(entry, books)
    body = entry.body
    if entry.kind == Kind.ONLINE_OUTCOME and type(body.get("approved")) is not bool:
        raise Parked("body_malformed")
    amount = body.get("amount_minor")
    event = event_of(entry.kind, body)
    assert event is not None, "only kinds that concern a hold are posted here"
    if type(amount) is not int or not 0 < amount <= MINOR_MAX:
        raise Parked("body_malformed")
    if body.get("currency") != lender.currency:
        raise Parked("currency_mismatch")
    return Facts(
        key=key_of(entry, books),
        epoch=entry.epoch,
        lender=lender,
        event=event,
        amount_minor=amount,
        delta_minor=0 if event is HoldEvent.INTEND else delta_of(entry),
        account=account_of(entry),
        cti=proof_of(entry),
        is_online=entry.kind == Kind.ONLINE_OUTCOME,
        is_cap=body.get("funding") == "cap",
        is_final=event is not HoldEvent.CAPTURE_PART,
        approved_at=entry.recorded_at,
        expires_at=_time_of(body.get("expires_at")),
        code=code if isinstance(code := body.get("authorization_code"), str) else None,
    )


def _time_of(value: object) -> int | None:
    return value if type(value) is int and 0 < value < INT_END else None


def lender_of(entry: Entry, books: Books) -> Lender:
    lender = books.lenders.get(entry.lender or "")
    if lender is None:
        raise Parked("lender_unknown")
    return lender


def delta_of(entry: Entry) -> int:
    """What the entry took from the lease of its own epoch; 0 if it says nothing of a lease."""
    lease = entry.body.get("lease")
    if lease is None:
        return 0
    if not isinstance(lease, dict) or type(lease.get("delta_minor")) is not int:
        raise Parked("body_malformed")
    if lease.get("epoch") != entry.epoch:
        raise Parked("lease_epoch_closed")
    delta: int = lease["delta_minor"]
    if abs(delta) > MINOR_MAX:
        raise Parked("body_malformed")
    return delta


def attempt_of(entry: Entry) -> Attempt | None:
    """The attempt of a sale that an entry speaks of; None if it does not, or not in a way that books can keep."""
    if entry.kind == Kind.REFUND_OUTCOME:
        said = refunds.said_by(entry)
        return Attempt(said.lane, entry.lender or "", said.sale_id, said.attempt) if said and said.attempt else None
    if not entry.lender or not entry.sale_id or entry.attempt is None or "\0" in entry.lender + entry.sale_id:
        return None
    return Attempt(entry.lane, entry.lender, entry.sale_id, entry.attempt)


def decides(entry: Entry) -> bool:
    """Whether the entry ends what an online answer holds for its sale."""
    return entry.kind in (Kind.ONLINE_OUTCOME, Kind.AUTHORIZATION, Kind.DECLINE, Kind.REVERSAL)


def shown(text: str | None) -> str | None:
    """A text of an entry as tables can keep it: PostgreSQL takes no NUL."""
    return text.replace("\0", "?") if text else text


def account_of(entry: Entry) -> bytes | None:
    """The account that an entry names, if it is one."""
    account: Any = entry.body.get("account")
    return account if isinstance(account, bytes) and len(account) == 16 else None


def proof_of(entry: Entry) -> bytes | None:
    """The phone's proof that an entry says was shown, if it is one."""
    cti: Any = entry.body.get("cti")
    return cti if isinstance(cti, bytes) and len(cti) == 8 else None


def amount_of(entry: Entry) -> int:
    amount = entry.body.get("amount_minor")
    return amount if type(amount) is int and 0 < amount <= MINOR_MAX else 0
