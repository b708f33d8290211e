"""The bodies of requests, as the lane protocol writes them.

The one rule: what passes these models is in range; unknown fields are ignored, everything else is a ``malformed``.
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from agent.core.merchant_code import CODE_CHARS_MAX
from agent.core.money import MINOR_MAX
from agent.core.plans import PLANS_MAX
from agent.core.settlement import NAMES
from backend.problems import Problem

COUNT_MAX: Final = 2**53 - 1  # stays exact in every JSON reader (RFC 8259 section 6)
COMMAS_MAX: Final = 10_000
"""Values of a body, told by what parts them; the largest upload has a tenth. Read without this bound, 32 MiB of ``{},``
(3 KB as they come, in zstd) keep everybody waiting for ten seconds."""


def b64url(data: bytes) -> str:
    """base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_b64url(text: str) -> bytes:
    """Raises ValueError for anything that is not base64url without padding."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def rfc3339(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _binary(text: str) -> str:
    from_b64url(text)
    return text


def _day(text: str) -> str:
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError("not a day as 2027-01-31")
    return text


def _octets(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("not a string")
    return from_b64url(text)


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
LenderId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,15}$")]
SaleId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{8,36}$")]
Category = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]
Count = Annotated[int, Field(ge=0, le=COUNT_MAX)]
Positive = Annotated[int, Field(ge=1, le=COUNT_MAX)]
Minor = Annotated[int, Field(ge=1, le=MINOR_MAX)]
Binary = Annotated[str, AfterValidator(_binary)]
Octets = Annotated[bytes, PlainValidator(_octets), WithJsonSchema({"type": "string"})]
"""Binary on the line, bytes here: of what comes by the hundred, and is decoded once."""
WalletCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{16,24}$")]
Said = Annotated[str, StringConstraints(max_length=64)]


class Body(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Amount(Body):
    minor: Minor
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class LeaseDebit(Body):
    epoch: Count
    debit_minor: Count


class PlanWish(Body):
    """The plan that a customer chose: what was shown (SHA-256), on which business day of the store, which coupon."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,19}$")]
    statement: Annotated[Binary, Field(min_length=43, max_length=43)]  # SHA-256
    sold_on: Annotated[str, AfterValidator(_day)]
    coupon: Annotated[str | None, Field(max_length=1024)] = None


class MerchantCode(Body):
    """A code that the lane shows (EMVCo, merchant-presented), and for how many seconds it may be paid."""

    text: Annotated[str, Field(min_length=1, max_length=CODE_CHARS_MAX)]
    valid_s: Annotated[int, Field(ge=1, le=600)]


class AuthorizationRequest(Body):
    """Of ``pass``, ``wallet_code`` and ``merchant_code`` exactly one; with ``wallet_code``, ``lender`` is a rail."""

    lender: LenderId
    sale_id: SaleId
    attempt: Positive
    epoch: Positive
    intent_number: Positive
    amount: Amount
    # `pass` is a keyword of Python
    pass_code: Annotated[str | None, Field(alias="pass", max_length=4096)] = None
    wallet_code: WalletCode | None = None
    merchant_code: MerchantCode | None = None
    scanned_at: Annotated[str, Field(max_length=40)]
    category: Category
    capture: Literal["at_once", "later"]
    lease: LeaseDebit | None = None
    plan: PlanWish | None = None

    @model_validator(mode="after")
    def _shows_one_code(self) -> AuthorizationRequest:
        if [self.pass_code, self.wallet_code, self.merchant_code].count(None) != 2:
            raise ValueError("exactly one of pass, wallet_code and merchant_code")
        if self.merchant_code is not None and (self.plan is not None or self.lease is not None):
            raise ValueError("a merchant_code has neither plan nor lease")
        return self


class RefundRequest(Body):
    """A refund of a sale that ``lane`` made, asked for by another lane of its merchant."""

    lender: LenderId
    request_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,36}$")]
    lane: Name
    sale_id: SaleId
    amount: Amount
    epoch: Positive


class Enrollment(Body):
    code: Annotated[str, Field(max_length=128)]
    csr: Annotated[str, Field(max_length=8192)]
    journal_key: Annotated[Binary, Field(max_length=512)]


class Renewal(Body):
    csr: Annotated[str, Field(max_length=8192)]


class NewEpoch(Body):
    lane: Name
    epoch: Positive
    reason: Literal["restored"]
    number: Count
    hash: Annotated[Binary, Field(min_length=43, max_length=43)]  # SHA-256


class SlipClaimed(Body):
    claim: Annotated[str, Field(max_length=1100)]


class InForce(Body):
    """What a lane has of a lender: its newest layer (sequence 0 and no digest: none), versions of key list and policy.

    The digest is the SHA-256 of the layer's signed manifest.
    """

    sequence: Count
    digest: Annotated[Binary, Field(max_length=43)]
    keys: Count = 0
    policy: Count = 0


class Heartbeat(Body):
    """All but lender and nonce may be missing. Nothing is believed, or kept, without the journal key's signature."""

    lender: LenderId
    nonce: Annotated[Binary, Field(min_length=22, max_length=22)]  # 16 bytes
    epoch: Positive | None = None
    number: Count | None = None
    acknowledged_through: Count | None = None
    installed: Annotated[dict[LenderId, InForce], Field(max_length=32)] = {}
    signature: Annotated[Binary, Field(max_length=1024)] | None = None
    versions: Annotated[dict[Said, Said], Field(max_length=16)] = {}
    queue_depth: Count | None = None
    devices: Annotated[dict[Said, Said], Field(max_length=32)] = {}
    clock_offset_s: Annotated[int, Field(ge=-COUNT_MAX, le=COUNT_MAX)] | None = None


class JournalUpload(Body):
    lane: Name
    epoch: Positive
    first: Positive
    entries: Annotated[list[Octets], Field(min_length=1, max_length=1000)]
    signature: Annotated[Binary, Field(max_length=1024)]


TotalName = Annotated[str, StringConstraints(pattern=rf"^({'|'.join(NAMES)}|plan\.[a-z0-9][a-z0-9-]{{0,19}})$")]
ZERO: Final[dict[str, int]] = {"count": 0, "minor": 0}


class Total(Body):
    count: Count
    minor: Count


class SettlementRequest(Body):
    lender: LenderId
    epoch: Positive
    batch: Count
    first_number: Positive
    last_number: Positive
    chain_head: Annotated[Binary, Field(min_length=43, max_length=43)]  # SHA-256
    totals: Annotated[dict[TotalName, Total], Field(max_length=len(NAMES) + PLANS_MAX)]

    def totals_to_wire(self) -> dict[str, dict[str, int]]:
        given = {str(name): total.model_dump() for name, total in self.totals.items()}
        return dict.fromkeys(NAMES, ZERO) | given


Model = TypeVar("Model", bound=Body)


def read(model: type[Model], body: bytes) -> Model:
    """Raises Problem("malformed") with what is wrong, for whatever bytes."""
    if body.count(b",") > COMMAS_MAX:
        raise Problem("malformed", f"more than {COMMAS_MAX} values")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors()[:5]]
        raise Problem("malformed", "; ".join(faults)) from None


def write(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
