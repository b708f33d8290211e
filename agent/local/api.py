"""The local API: what POS software, the page and the command line may ask of the running agent.

The one rule: thin. A handler checks the shape of a request, calls one service, and maps its faults to a problem
document (RFC 9457); nothing is decided here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from agent.core.authorization import Hold
from agent.core.money import Money, MoneyError
from agent.core.receipt import read_slip_code
from agent.core.slip_claim import PREFIX, ClaimError, read_claim
from agent.errors import (
    CounterfoilError,
    IdempotencyConflict,
    LedgerError,
    LeftBefore,
    NothingToRecover,
    OfferRefused,
    SaleUnknown,
    UplinkRefused,
    UplinkUnavailable,
)
from agent.local.limits import Paced
from agent.local.requests import (
    AskOffers,
    BadRequest,
    Capture,
    Choice,
    CloseDay,
    LeaseReturn,
    OpenSale,
    Refund,
    Reversal,
    SlipClaim,
    SlipRefund,
    account_of,
    number_of,
    read,
    while_there,
)
from agent.ports import PrintResult
from agent.services.checkout import Checkout, Order
from agent.services.counter import Counter, Events
from agent.services.hold_desk import UNKNOWN, HoldDesk, Refused
from agent.services.lease_desk import LeaseDesk
from agent.services.offers import Basket
from agent.services.restoration import Restoration
from agent.services.settlement import Settlement
from agent.services.slip_refunds import SlipRefunds
from agent.texts import LANGUAGES, text

WAIT_MAX_S: Final = 60.0
ATTEMPTS_MAX: Final = 1000.0


@dataclass(frozen=True, slots=True)
class LocalServices:
    """What the API serves: services of one lane, and its own facts."""

    counter: Counter
    checkout: Checkout
    holds: HoldDesk
    slip_refunds: SlipRefunds
    lane: str
    settlement: Settlement
    leases: LeaseDesk
    restoration: Restoration
    events: Events
    category: str
    currency: str
    lenders: Callable[[], Sequence[str]]
    new_sale_id: Callable[[], str]
    status: Callable[[], dict[str, Any]]
    explain: Callable[[str], dict[str, Any] | None]
    verify_journal: Callable[[], Awaitable[dict[str, Any]]]
    check_devices: Callable[[], Awaitable[list[dict[str, Any]]]]
    print_test: Callable[[], Awaitable[PrintResult | None]]
    open_drawer: Callable[[], Awaitable[dict[str, Any] | None]]
    test_display: Callable[[], Awaitable[dict[str, Any] | None]]
    claim: Callable[[str], Awaitable[dict[str, Any]]]
    rails: Sequence[str] = ()


Handler = Callable[[Request], Awaitable[Response]]


def create_app(services: LocalServices) -> ASGIApp:
    """The ASGI application. Every answer is JSON; every refusal a problem document."""
    calls = _Calls(services)
    routes = [
        ("POST", "/v1/sales", calls.open_sale),
        ("GET", "/v1/sales/{sale_id}", calls.show_sale),
        ("POST", "/v1/sales/{sale_id}/choice", calls.choose),
        ("POST", "/v1/offers", calls.offer),
        ("GET", "/v1/sales/{sale_id}/explanation", calls.explain),
        ("POST", "/v1/sales/{sale_id}/capture", calls.capture),
        ("POST", "/v1/sales/{sale_id}/reversal", calls.reverse),
        ("POST", "/v1/sales/{sale_id}/void", calls.void),
        ("POST", "/v1/sales/{sale_id}/refund", calls.refund),
        ("POST", "/v1/refunds", calls.refund_slip),
        ("POST", "/v1/sales/{sale_id}/abandonment", calls.abandon),
        ("POST", "/v1/settlements", calls.settle),
        ("GET", "/v1/leases/{account}", calls.show_lease),
        ("POST", "/v1/leases/{account}/return", calls.return_lease),
        ("GET", "/v1/status", calls.status),
        ("POST", "/v1/journal/verification", calls.verify),
        ("GET", "/v1/recovery", calls.show_heads),
        ("POST", "/v1/recovery", calls.recover),
        ("GET", "/v1/devices", calls.devices),
        ("POST", "/v1/print-jobs", calls.print_test),
        ("POST", "/v1/drawer-openings", calls.open_drawer),
        ("POST", "/v1/display-tests", calls.test_display),
        ("POST", "/v1/claims", calls.claim),
        ("GET", "/v1/events", calls.events),
    ]
    app = Starlette(
        routes=[Route(path, _guarded(call, services.counter), methods=[method]) for method, path, call in routes],
        exception_handlers={HTTPException: _not_served, Exception: _failed},
    )
    return Paced(app)


class _Calls:
    """One method per call of the local API."""

    def __init__(self, services: LocalServices) -> None:
        self._services = services

    async def open_sale(self, request: Request) -> Response:
        body = await read(request, OpenSale)
        amount = self._amount(body.amount.minor, body.amount.currency)
        sale_id, category = body.sale_id or self._services.new_sale_id(), body.category or self._services.category
        order = Order(sale_id, amount, category, body.capture, body.wish(), body.offers)
        view = await self._services.counter.open_sale(order, body.code)
        return JSONResponse(view, 201 if view["state"] == "waiting" else 200)

    def _amount(self, minor: int, currency: str) -> Money:
        amount = Money(minor, currency)
        if currency != self._services.currency:
            raise MoneyError(f"this lane sells in {self._services.currency}, not in {currency}")
        return amount

    async def choose(self, request: Request) -> Response:
        """What the customer chose of the offers; the sale is decided with it."""
        sale_id, body = request.path_params["sale_id"], await read(request, Choice)
        view = await self._services.counter.choose(sale_id, body.wish())
        if view is None:
            return _problem(409, "sale_not_choosing", f"Sale {sale_id} does not wait for a choice.")
        return JSONResponse(view)

    async def offer(self, request: Request) -> Response:
        """The plans for an amount: of the lender of a code, or of one that is named."""
        body = await read(request, AskOffers)
        amount, category = self._amount(body.amount.minor, body.amount.currency), body.category
        menu = self._services.checkout.offers_for(
            Basket(amount, category or self._services.category), body.code, self._lender(body.lender), body.coupon
        )
        return JSONResponse(self._services.counter.offers(menu))

    async def show_sale(self, request: Request) -> Response:
        sale_id = request.path_params["sale_id"]
        if not self._services.counter.knows(sale_id):
            return _problem(404, "sale_unknown", f"This lane knows no sale {sale_id}.")
        wait_s, after = number_of(request, "wait_s", WAIT_MAX_S), int(number_of(request, "after_attempt", ATTEMPTS_MAX))
        if not wait_s:
            return JSONResponse(self._services.counter.view(sale_id))
        decided = self._services.counter.wait(sale_id, lambda view: _is_decided(view, after), wait_s)
        return JSONResponse(await while_there(request, decided))

    async def explain(self, request: Request) -> Response:
        sale_id = request.path_params["sale_id"]
        told = self._services.explain(sale_id)
        if told is None:
            return _problem(404, SaleUnknown.code, f"The journal of this lane has no sale {sale_id}.", SaleUnknown.hint)
        return JSONResponse(told)

    async def capture(self, request: Request) -> Response:
        body = await read(request, Capture)
        capture = self._services.holds.capture
        return self._changed(
            request, await capture(_sale(request), body.amount_minor, final=body.final, request=body.request_id)
        )

    async def reverse(self, request: Request) -> Response:
        body = await read(request, Reversal)
        return self._changed(request, await self._services.holds.reverse(_sale(request), body.reason))

    async def void(self, request: Request) -> Response:
        body = await read(request, Reversal)
        return self._changed(request, await self._services.holds.void(_sale(request), body.reason))

    async def refund(self, request: Request) -> Response:
        body = await read(request, Refund)
        refund = self._services.holds.refund
        changed = await refund(_sale(request), body.amount_minor, request=body.request_id, reason=body.reason)
        return self._changed(request, changed)

    async def refund_slip(self, request: Request) -> Response:
        """A refund of whatever lane's sale: this lane's own at once, another's online."""
        body = await read(request, SlipRefund)
        lane, sale_id, lender = _slip_of(body)
        amount = Money(body.amount.minor, body.amount.currency)
        if lane == self._services.lane:
            amount = self._amount(body.amount.minor, body.amount.currency)
            request.path_params["sale_id"] = sale_id
            refund = self._services.holds.refund
            hold = await refund(sale_id, amount.minor, request=body.request_id, reason=body.reason)
            return self._changed(request, hold)
        known = self._lender(lender or body.lender)
        refunded = await self._services.slip_refunds.refund(known, lane, sale_id, amount, body.request_id)
        return JSONResponse(self._services.counter.refund_view(refunded))

    def _changed(self, request: Request, hold: Hold | Refused) -> Response:
        if isinstance(hold, Refused):
            why, instead = self._services.counter.refusal(hold.reason)
            return _problem(404 if hold.reason == UNKNOWN else 409, hold.reason, why, instead)
        return JSONResponse(self._services.counter.view(_sale(request)))

    async def abandon(self, request: Request) -> Response:
        """Wait no longer for a wallet's customer: the sale is declined within one question."""
        sale_id = request.path_params["sale_id"]
        if not self._services.checkout.wallets.abandon(sale_id):
            return _problem(409, "sale_not_waiting", f"Sale {sale_id} does not wait for a wallet.")
        return JSONResponse(self._services.counter.view(sale_id), 202)

    async def settle(self, request: Request) -> Response:
        body = await read(request, CloseDay)
        lender = body.lender if body.lender in (self._services.rails or ()) else self._lender(body.lender)
        assert lender is not None
        report = await self._services.settlement.close_day(lender, body.batch)
        if report is None:
            return _problem(409, "batch_unknown", f"There is no batch {body.batch} of {lender} to close.")
        return JSONResponse(asdict(report))

    async def show_lease(self, request: Request) -> Response:
        account, lender = account_of(request), self._lender(request.query_params.get("lender"))
        return self._lease(lender, account, {})

    async def return_lease(self, request: Request) -> Response:
        body = await read(request, LeaseReturn)
        account, lender = account_of(request), self._lender(body.lender)
        returned = self._services.leases.give_back(lender, account, body.amount_minor)
        return self._lease(lender, account, {"returned_minor": returned})

    def _lease(self, lender: str, account: bytes, more: dict[str, int]) -> Response:
        view = self._services.leases.lease(lender, account)
        if view is None:
            return _problem(404, "lease_unknown", "The snapshot of this lane has no record of this account.")
        facts = {"lender": lender, "left_minor": view.remaining_minor, "valid_until_s": view.valid_until_s}
        return JSONResponse(facts | {"lease_epoch": view.epoch} | more)

    def _lender(self, asked: str | None) -> str:
        """The lender that was named, or the first."""
        lenders = self._services.lenders()
        if asked is not None and asked not in lenders:
            raise BadRequest(404, "lender_unknown", f"{asked} is not a lender of this lane.")
        return asked or lenders[0]

    async def status(self, _request: Request) -> Response:
        return JSONResponse(self._services.status())

    async def verify(self, _request: Request) -> Response:
        return JSONResponse(await self._services.verify_journal())

    async def show_heads(self, _request: Request) -> Response:
        return JSONResponse(asdict(self._services.restoration.heads()))

    async def recover(self, _request: Request) -> Response:
        head = await self._services.restoration.begin_again(self._lender(None))
        return JSONResponse({"epoch": head.epoch, "number": head.number, "head": head.hash.hex()})

    async def devices(self, _request: Request) -> Response:
        return JSONResponse(await self._services.check_devices())

    async def print_test(self, _request: Request) -> Response:
        result = await self._services.print_test()
        if result is None:
            return _problem(409, "printer_none", "This lane has no printer.", "Set printer.address and restart.")
        return JSONResponse(asdict(result))

    async def open_drawer(self, _request: Request) -> Response:
        result = await self._services.open_drawer()
        if result is None:
            return _problem(409, "drawer_none", "This lane has no cash drawer.", "Set drawer.attached and restart.")
        return JSONResponse(result)

    async def test_display(self, _request: Request) -> Response:
        result = await self._services.test_display()
        if result is None:
            return _problem(409, "display_none", "This lane has no line display.", "Set display.address and restart.")
        return JSONResponse(result)

    async def claim(self, request: Request) -> Response:
        body = await read(request, SlipClaim)
        return JSONResponse(await self._services.claim(body.claim))

    async def events(self, _request: Request) -> Response:
        return StreamingResponse(_stream(self._services.events), media_type="text/event-stream")


def _slip_of(body: SlipRefund) -> tuple[str, str, str | None]:
    """Lane, sale id and, if the slip says so, lender. Raises BadRequest."""
    text = (body.slip or "").strip()
    if text.startswith(PREFIX):
        try:
            claim = read_claim(text)
        except ClaimError as error:
            raise BadRequest(422, "slip_malformed", str(error)) from None
        return claim.lane, claim.sale_id, claim.lender
    said = read_slip_code(text) if text else (body.lane, body.sale_id)
    if said is None or not all(said):
        raise BadRequest(422, "slip_malformed", "Scan the slip's code, or give lane and sale_id.")
    return str(said[0]), str(said[1]), None


def _sale(request: Request) -> str:
    sale_id: str = request.path_params["sale_id"]
    return sale_id


def _guarded(handler: Handler, counter: Counter) -> Handler:
    """Faults become problem documents: the caller reads what to do, never a stack trace."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except BadRequest as error:
            return _problem(error.status, error.kind, str(error))
        except ClientDisconnect:
            return _problem(400, "caller_gone", "The caller hung up.")  # nobody reads it
        except MoneyError as error:
            return _problem(422, "amount", str(error))
        except (LedgerError, UplinkUnavailable) as error:
            return _problem(503, error.code, error.message, error.hint)
        except OfferRefused as error:
            return _offer_refused(error.reason, counter)
        except (IdempotencyConflict, LeftBefore, NothingToRecover, UplinkRefused) as error:
            return _problem(409, error.code, error.message, error.hint)
        except CounterfoilError as error:
            return _problem(500, error.code, error.message, error.hint)

    return guarded


async def _not_served(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, "not_served", f"There is no {request.method} {request.url.path} here.")


async def _failed(_: Request, error: Exception) -> Response:
    return _problem(500, "internal", f"internal fault: {type(error).__name__}", CounterfoilError.hint)


def _is_decided(view: dict[str, Any], after_attempt: int) -> bool:
    """Whether an attempt after the given one has its answer, or will have none before the ledger works again; a
    declined sale goes on waiting for another code."""
    answered = view["attempt"] > after_attempt and view["state"] not in ("waiting", "asking")
    return answered or view["state"] in ("unknown", "choosing")


async def _stream(events: Events) -> AsyncIterator[str]:
    listener = events.subscribe()
    try:
        while True:
            try:
                event = await asyncio.wait_for(listener.get(), 15)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            if event is None:
                return
            data = json.dumps(event["data"], ensure_ascii=False)
            yield f"id: {event['id']}\nevent: {event['type']}\ndata: {data}\n\n"
    finally:
        events.unsubscribe(listener)


def _offer_refused(reason: str, counter: Counter) -> JSONResponse:
    """In the lane's language, and in every one: whoever shows it to a cashier and to a customer has both sentences."""
    texts = {
        language: {name: text(language, reason, name) for name in ("cashier", "customer", "next")}
        for language in LANGUAGES
    }
    why, instead = counter.refusal(reason)
    return _problem(409, reason, why, instead, texts=texts)


def _problem(status: int, kind: str, detail: str, hint: str = "", **more: object) -> JSONResponse:
    body = {"type": f"urn:counterfoil:problem:{kind}", "title": kind, "status": status, "detail": detail, "hint": hint}
    return JSONResponse(body | more, status, media_type="application/problem+json")
