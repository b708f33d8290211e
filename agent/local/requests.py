"""What callers of the local API may send, and how it is read.

The one rule: every field has its shape here, and what has another shape is refused in words before any service hears
of it.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Coroutine
from dataclasses import replace
from datetime import date
from typing import Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import ClientDisconnect, Request

from agent.core.money import MINOR_MAX
from agent.core.operators import NAME
from agent.core.pass_claims import ACCOUNT_BYTES
from agent.services.offers import Wish
from agent.texts import Language

BODY_BYTES_MAX: Final = 64 * 1024
WAIT_MAX_S: Final = 60.0
SALE_ID: Final = r"^[A-Za-z0-9._-]{8,36}$"
TAIL: Final = r"^[0-9a-fA-F]{4}$"
LANE_CHARS_MAX: Final = 64
"""Of a text in an entry of the journal (lane protocol, section 8)."""


class Body(BaseModel):
    # A name that is misspelt is refused: what is left out means "all of it, at once", and would be done instead.
    model_config = ConfigDict(extra="forbid", strict=True)


class _Amount(Body):
    minor: int
    currency: str


class _Wish(Body):
    """A plan by its id, the text of a coupon, and the ``statement`` (hex) that was shown for it."""

    plan: str | None = Field(default=None, max_length=20)
    coupon: str | None = Field(default=None, max_length=1024)
    statement: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    def wish(self) -> Wish | None:
        """None for a sale without instalments."""
        if self.plan is None and self.coupon is None:
            return None
        return Wish(self.plan, self.coupon, bytes.fromhex(self.statement) if self.statement else None)


class Scene(Body):
    """POST /v1/scenes: what happens at the training counter; ``look``: nothing, only tell how it is."""

    what: Literal[
        "look", "pays", "expired", "torn", "declined", "step_up", "real", "cut", "restore", "paper_out", "paper_in"
    ]


class VirtualAct(Body):
    """POST /v1/virtual-acts. ``device``: by its name; empty: the only one that can, or all, to be well."""

    act: str = Field(max_length=20)
    device: str = Field(default="", max_length=32)
    code: str = Field(default="", max_length=4096)


class Choice(_Wish):
    """POST /v1/sales/{sale_id}/choice. Without a plan: no instalments. ``language``: in which it was shown."""

    language: Language | None = None

    def wish(self) -> Wish | None:
        wish = _Wish.wish(self)
        return wish and replace(wish, language=self.language)


class Preview(Body):
    """POST /v1/sales/{sale_id}/preview. The plan whose whole statement is looked at; None: all beside each other."""

    plan: str | None = Field(default=None, max_length=20)


class AskOffers(Body):
    """POST /v1/offers. With ``code`` the offers are those of the pass's lender."""

    amount: _Amount
    category: str | None = Field(default=None, pattern=r"^[0-9]{4}$")
    lender: str | None = Field(default=None, max_length=16)
    code: str | None = Field(default=None, max_length=512)
    coupon: str | None = Field(default=None, max_length=1024)


class OpenSale(_Wish):
    """POST /v1/sales. Without ``code`` the sale waits for the next scan; with ``offers`` its customer then chooses."""

    sale_id: str | None = Field(default=None, pattern=SALE_ID)
    amount: _Amount
    category: str | None = Field(default=None, pattern=r"^[0-9]{4}$")
    capture: Literal["at_once", "later"] = "at_once"
    code: str | None = Field(default=None, max_length=512)
    offers: bool = False


_REQUEST: Final = r"^[A-Za-z0-9._-]{1,36}$"


class Capture(Body):
    """POST /v1/sales/{sale_id}/capture. Without an amount, all that is held. ``final``: the rest is released; a part
    of several needs a ``request_id``, by which a repeated call is told from another part of the same amount."""

    amount_minor: int | None = Field(default=None, ge=1, le=MINOR_MAX)
    final: bool = True
    request_id: str | None = Field(default=None, pattern=_REQUEST)

    @model_validator(mode="after")
    def _is_told_apart(self) -> Self:
        if not self.final and (self.request_id is None or self.amount_minor is None):
            raise ValueError("a capture that is not final needs amount_minor and request_id")
        return self


class Reversal(Body):
    """POST /v1/sales/{sale_id}/reversal and /void."""

    reason: str = Field(default="cashier", max_length=64)


class Refund(Body):
    """POST /v1/sales/{sale_id}/refund. Without an amount, all that is left. One ``request_id`` is one refund, however
    often it is sent."""

    request_id: str = Field(pattern=_REQUEST)
    amount_minor: int | None = Field(default=None, ge=1, le=MINOR_MAX)
    reason: str = Field(default="cashier", max_length=64)


class SlipRefund(Body):
    """POST /v1/refunds: a refund by the code of a slip (``slip``), or by what it says: ``lane`` and ``sale_id``."""

    request_id: str = Field(pattern=_REQUEST)
    amount: _Amount
    slip: str | None = Field(default=None, max_length=2048)
    lender: str | None = Field(default=None, max_length=16)
    lane: str | None = Field(default=None, max_length=LANE_CHARS_MAX)
    sale_id: str | None = Field(default=None, pattern=SALE_ID)
    reason: str = Field(default="cashier", max_length=64)


class ShowCode(Body):
    """POST /v1/sales/{sale_id}/merchant-code: whose app is to pay (the lane's first lender), and whether the code goes
    to paper too."""

    lender: str | None = Field(default=None, max_length=16)
    print: bool = False


class CloseDay(Body):
    """POST /v1/settlements. With the number of its batch, a close can be repeated whatever was sold meanwhile.
    ``print``: its report goes to paper if the batch is closed by this very call (``once``), or in any case."""

    lender: str | None = Field(default=None, max_length=16)
    batch: int | None = Field(default=None, ge=1, le=MINOR_MAX)
    print: Literal["once", "always"] | None = None


class DrawerOpening(Body):
    """POST /v1/drawer-openings: why, for the journal. POS software that opens it after a cash sale may leave it out."""

    reason: Literal["change", "count", "error", "other"] | None = None


class ShiftOpening(Body):
    """POST /v1/shift/opening: who, a number or short name, and what is in the drawer. Without a name it is who is
    signed in; a supervisor alone may name somebody else. ``print``: its paper, as that of a close of the day."""

    operator: str | None = Field(default=None, pattern=NAME)
    float_minor: int = Field(ge=0, le=MINOR_MAX)
    print: Literal["once", "always"] | None = None


class ShiftClosing(Body):
    """POST /v1/shift/closing: what was counted in the drawer, and what the till took in cash, less what it gave.
    ``print``: its paper, as that of a close of the day."""

    counted_minor: int = Field(ge=0, le=MINOR_MAX)
    cash_minor: int = Field(default=0, ge=-MINOR_MAX, le=MINOR_MAX)
    print: Literal["once", "always"] | None = None


class OtherTenders(Body):
    """POST /v1/other-tenders: what the sales without credit come to, so far on this ``day`` (today if none is given).
    A later word replaces an earlier one."""

    day: str | None = Field(default=None, max_length=10)
    count: int = Field(ge=1, le=MINOR_MAX)
    amount_minor: int = Field(ge=0, le=MINOR_MAX)


class LeaseReturn(Body):
    """POST /v1/leases/{account}/return. Without an amount, all that is left."""

    lender: str | None = Field(default=None, max_length=16)
    amount_minor: int | None = Field(default=None, ge=1, le=MINOR_MAX)


class SignIn(Body):
    """POST /v1/operator-session."""

    operator: str = Field(max_length=16)
    pin: str = Field(max_length=12, repr=False)


class PageLink(Body):
    """POST /v1/page-links."""

    page: Literal["cashier", "customer"] = "cashier"


class SlipClaim(Body):
    """POST /v1/claims: what the code of a slip says."""

    claim: str = Field(min_length=1, max_length=2048)


B = TypeVar("B", bound=Body)
T = TypeVar("T")


class BadRequest(Exception):
    """A request that cannot be served: HTTP status, kind of problem, and a sentence. The only refusal of this file."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind = status, kind


async def read(request: Request, shape: type[B]) -> B:
    """The body as ``shape``; {} when there is none. Bounded while it is being read."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY_BYTES_MAX:
            raise BadRequest(413, "body_too_large", f"A request has at most {BODY_BYTES_MAX} bytes.")
    try:
        return shape.model_validate_json(data or b"{}")
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors()]
        raise BadRequest(422, "body_malformed", "; ".join(faults)) from None


def is_sale_id(text: str) -> bool:
    return re.fullmatch(SALE_ID, text, re.ASCII) is not None


def sale_of(request: Request) -> str:
    """The sale id of the path."""
    sale_id: str = request.path_params["sale_id"]
    return sale_id


def account_of(request: Request) -> bytes:
    """The account token of the path, 16 bytes. Raises BadRequest."""
    try:
        account = bytes.fromhex(request.path_params["account"])
    except ValueError:
        account = b""
    if len(account) != ACCOUNT_BYTES:
        raise BadRequest(422, "account", "An account token is 32 hexadecimal digits.")
    return account


def day_of(text: str | None) -> date | None:
    """A calendar day such as 2026-11-22; None when none was given."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadRequest(422, "day", "A day is written as 2026-11-22.") from None
    if not 2000 <= day.year < 2200:
        raise BadRequest(422, "day", "A day lies between 2000 and 2200.")
    return day


def number_of(request: Request, name: str, largest: float) -> float:
    """A query parameter, 0 when it is not given, at most ``largest``."""
    text = request.query_params.get(name, "0")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadRequest(422, name, f"{name} is a number.")
    return min(max(value, 0.0), largest)


def minor_of(request: Request, name: str) -> int | None:
    """A query parameter that is an amount in minor units; None when it is not given."""
    text = request.query_params.get(name)
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,16}", text, re.ASCII) or not 1 <= int(text) <= MINOR_MAX:
        raise BadRequest(422, name, f"{name} is a whole number of minor units, 1 or more.")
    return int(text)


def tail_of(text: str | None) -> str | None:
    """The last four of an account as a slip shows them; None when none were given."""
    if text and not re.fullmatch(TAIL, text, re.ASCII):
        raise BadRequest(422, "account_tail", "The last four of an account are of 0-9 and a-f, such as 9f3a.")
    return text.lower() if text else None


async def while_there(request: Request, answer: Coroutine[Any, Any, T]) -> T:
    """The answer; ends with ClientDisconnect when nobody waits for it any more."""
    asked, gone = asyncio.create_task(answer), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({asked, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            raise ClientDisconnect
        return asked.result()
    finally:
        asked.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
