"""The bodies of answers, as the lane protocol writes them. For the description of the calls, and for tests.

The one rule: what a lane reads is required here; a backend may say more.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from backend.wire import Amount, Binary, Body, Count, LenderId, Name, Positive, SaleId, Total

Bearer = Literal["lender", "merchant", "operator"]
Hash = Annotated[Binary, Field(min_length=43, max_length=43)]  # SHA-256
Pem = Annotated[str, Field(max_length=8192)]
Moment = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")]
Text = Annotated[str, Field(max_length=256)]


class Authority(Body):
    ca: Pem


class HeadOfEpoch(Body):
    """Where the backend holds that an epoch's journal ends."""

    epoch: Positive
    number: Count
    hash: Hash


class IntroducedLender(Body):
    lender: LenderId
    name: Text
    root: Binary
    keys: Binary


class IntroducedRail(Body):
    rail: LenderId
    name: Text


class Enrolled(Body):
    lane: Name
    store: Name
    merchant: Name
    merchant_name: Text
    category: Text
    currency: Text
    epoch: Positive
    reason: Literal["enrolled", "replaced"]
    previous: HeadOfEpoch | None
    certificate: Pem
    ca: Pem
    lenders: Annotated[list[IntroducedLender], Field(min_length=1)]
    rails: Annotated[list[IntroducedRail], Field(default_factory=list)]


class Renewed(Body):
    certificate: Pem
    ca: Pem


class EpochStarted(Body):
    epoch: Positive
    previous: HeadOfEpoch


class Layer(Body):
    sequence: Positive
    base: bool
    size: Positive
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    url: Text


class Stack(Body):
    """Bottom first."""

    sequence: Positive
    layers: Annotated[list[Layer], Field(min_length=1, max_length=9)]


class WantedLayer(Body):
    lender: LenderId
    sequence: Positive


class CertificateLife(Body):
    not_after: Moment


class Introduced(Body):
    lender: LenderId
    introduction: Binary


class Introductions(Body):
    lenders: Annotated[list[Introduced], Field(min_length=1)]


class StoredJournal(Body):
    """How far the backend has a journal of the lane; one that is not named, it does not have (any more)."""

    epoch: Positive
    stored_through: Count


class Beat(Body):
    time: Binary
    layers_wanted: list[WantedLayer]
    lenders: list[LenderId]
    certificate: CertificateLife
    journals: list[StoredJournal]
    recovering: bool = False


class Authorization(Body):
    """A decline is an answer too: 200 with ``approved`` false."""

    approved: bool
    response_code: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2}$")]
    reason: Text
    rules: list[Text]
    policy_version: Count
    authorization_code: Text | None
    amount: Amount | None
    lease_used_minor: Count
    decided_at: Moment
    pending: bool = False
    account: Annotated[str | None, StringConstraints(pattern=r"^[0-9a-f]{32}$")] = None


class EntryResult(Body):
    number: Positive
    result: Literal["accepted", "duplicate", "disputed", "parked", "quarantined"]
    reason: Text | None = None
    bearer: Bearer | None = None


class Uploaded(Body):
    acknowledged_through: Count
    posted_through: Count
    results: list[EntryResult]


class ExceptionalEntry(Body):
    epoch: Positive
    number: Count
    result: Literal["disputed", "parked", "quarantined"]
    reason: Text
    bearer: Bearer
    lender: LenderId | None
    sale_id: SaleId | None
    amount: Amount | None


class Exceptions(Body):
    exceptions: Annotated[list[ExceptionalEntry], Field(max_length=500)]
    cursor: str


class Difference(Body):
    """``name``, ``lane`` and ``backend`` for a total, ``number`` for an entry."""

    what: Literal["total", "entry", "chain_head"]
    name: Text | None = None
    number: Positive | None = None
    lane: Total | str | None = None
    backend: Total | str | None = None


class Totals(Body):
    approved: Total
    declined: Total
    captured: Total
    reversed: Total
    expired: Total
    voided: Total
    refunded: Total
    stand_in: Total


class Settled(Body):
    matched: bool
    differences: list[Difference]
    totals: Totals
    chain_head: Hash
    merchant_fee: Amount | None
    net_payout: Amount | None
    payout_date: Day


class Refundable(Body):
    lender: LenderId
    lane: Name
    sale_id: SaleId
    attempt: Positive
    captured: Amount | None
    refunded: Amount | None
    refundable: Amount | None


class Refunded(Body):
    approved: bool
    response_code: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2}$")]
    reason: Text
    attempt: Positive | None
    amount: Amount


class Claimed(Body):
    result: Literal["accepted", "duplicate", "known"]
    sale_id: SaleId
    lane: Name
    epoch: Positive


class Event(Body):
    """``data`` by type is in the protocol, section 11; unknown types are to be ignored."""

    id: str
    type: Text
    data: dict[str, object]


class Events(Body):
    events: list[Event]
    cursor: str


class ProblemDocument(Body):
    """RFC 9457. ``type`` is urn:counterfoil:problem: and an id of ``x-problems``; some have members of their own."""

    type: Annotated[str, StringConstraints(pattern=r"^urn:counterfoil:problem:[a-z_]+$")]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str | None = None
    expected: Positive | None = None
    head: Hash | None = None
    epoch: Positive | None = None
    acknowledged_through: Count | None = None
