"""What the local API answers about the lane itself: its facts, journal, leases, devices.

The one rule: these describe and never filter. Amounts are minor units, times UTC seconds.
"""

from __future__ import annotations

from typing import Any, Literal

from agent.local.answers import Answer


class ConditionView(Answer):
    """What is wrong now; ``code`` is stable, ``detail`` for an engineer, ``action`` what to do if that is known."""

    code: str
    severity: Literal["info", "warning", "error"]
    ends_stand_in: bool
    detail: str
    action: str | None


class LinkView(Answer):
    up: bool
    detail: str | None


class ClockView(Answer):
    """``offset_s``: the lane's time less the computer's own."""

    now_s: int
    trusted: bool
    source: str
    offset_s: int | None
    reason: str | None


class JournalView(Answer):
    epoch: int
    number: int
    head: str


class QueueView(Answer):
    """Entries that the backend has not acknowledged."""

    depth: int
    oldest_at: int | None
    sent_through: int
    acknowledged_through: int
    exceptions: list[dict[str, Any]]


class StatusView(Answer):
    """One screen of facts, for people and monitoring."""

    lane: str
    store: str
    conditions: list[ConditionView]
    link: LinkView
    clock: ClockView
    journal: JournalView
    queue: QueueView
    lenders: list[dict[str, Any]]
    wallets: list[dict[str, Any]]
    print_jobs_waiting: int
    recent_sales: list[dict[str, Any]]


class Verified(Answer):
    """The chain was walked up to this entry."""

    number: int
    verified: bool


class HeadsView(Answer):
    """Where both halves of a restored journal end; the backend's is None if it did not say."""

    epoch: int
    number: int
    head: str
    backend_number: int | None
    backend_head: str


class EpochView(Answer):
    """Where the new epoch begins."""

    epoch: int
    number: int
    head: str


class LeaseView(Answer):
    """``returned_minor`` is in the answer of a return alone."""

    lender: str
    left_minor: int
    valid_until_s: int
    lease_epoch: int
    returned_minor: int | None = None


class DeviceView(Answer):
    """``reason``: a stable word, "" when it can work; ``text`` says it to a person."""

    kind: Literal["scanner", "printer", "drawer", "beeper", "display"]
    name: str
    address: str
    state: str
    reason: str
    text: str
    counts: dict[str, int]


class PrintView(Answer):
    """What became of a test slip: how far it is known to have come, and why no further."""

    rung: str
    reason: str | None
    action: str | None


class Opening(Answer):
    """``opened`` None: the pulse was sent, and nothing can tell."""

    opened: bool | None
    reason: str | None
    action: str | None


class DisplayTest(Answer):
    """``reason`` None: the display took it."""

    reason: str | None
    action: str | None


class Played(Answer):
    device: str
    act: str


class PrintJob(Answer):
    print_job: int


class Dismissed(Answer):
    sale_id: str
    shown: None


class SignedOut(Answer):
    signed_in: None


class Explanation(Answer):
    """Each attempt with the checks and rules that decided it, replayed from the journal."""

    sale_id: str
    lane: str
    attempts: list[dict[str, Any]]


class Claimed(Answer):
    """What the backend made of the slip of a lost lane."""

    result: Literal["accepted", "duplicate", "known"]
    sale_id: str
    lane: str
    epoch: int


class Description(Answer):
    """An OpenAPI document."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
    components: dict[str, Any]
