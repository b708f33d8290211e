"""The calls about a sale until it is decided: opened, offered, chosen, waited for, given up; and why it was decided so.

The one rule: thin. The shape of a request is checked, one service is called.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.errors import SaleUnknown
from agent.local.access import Caller
from agent.local.doors import CALLER
from agent.local.problems import problem
from agent.local.requests import (
    WAIT_MAX_S,
    AskOffers,
    Choice,
    OpenSale,
    Preview,
    ShowCode,
    day_of,
    minor_of,
    number_of,
    read,
    sale_of,
    tail_of,
    while_there,
)
from agent.local.services import LocalServices
from agent.services.checkout import Order
from agent.services.offers import Basket
from agent.services.views import for_customer

SALES_SHOWN: Final = 20
SALES_MAX: Final = 50.0
ATTEMPTS_MAX: Final = 1000.0
SHOWN_S: Final = 5.0
"""Longer than the backend takes to register a code."""


async def open_sale(services: LocalServices, request: Request) -> Response:
    body = await read(request, OpenSale)
    amount = services.amount_of(body.amount.minor, body.amount.currency)
    sale_id, category = body.sale_id or services.new_sale_id(), body.category or services.category
    order = Order(sale_id, amount, category, body.capture, body.wish(), body.offers)
    view = await services.counter.open_sale(order, body.code)
    return JSONResponse(view, 201 if view["state"] == "waiting" else 200)


async def show_sale(services: LocalServices, request: Request) -> Response:
    sale_id = sale_of(request)
    if not services.counter.knows(sale_id):
        return problem(404, "sale_unknown", f"This lane knows no sale {sale_id}.")
    wait_s, after = number_of(request, "wait_s", WAIT_MAX_S), int(number_of(request, "after_attempt", ATTEMPTS_MAX))
    if wait_s:
        decided = services.counter.wait(sale_id, lambda view: _is_decided(view, after), wait_s)
        view = await while_there(request, decided)
    else:
        view = services.counter.view(sale_id)
    return JSONResponse(for_customer(view) if request.scope[CALLER] is Caller.DISPLAY else view)


async def list_sales(services: LocalServices, request: Request) -> Response:
    """The newest ``limit`` sales that are asked for, those at the counter now without an outcome not among them."""
    limit = int(number_of(request, "limit", SALES_MAX)) or SALES_SHOWN
    asked = request.query_params
    day, tail = day_of(asked.get("day")), tail_of(asked.get("account_tail"))
    finding = services.earlier.find(day, minor_of(request, "amount_minor"), tail, limit)
    found = await while_there(request, finding)
    return JSONResponse({"sales": [services.counter.view(each) for each in found.sale_ids], "more": found.more})


async def choose(services: LocalServices, request: Request) -> Response:
    """What the customer chose of the offers; the sale is decided with it."""
    sale_id, body = sale_of(request), await read(request, Choice)
    view = await services.counter.choose(sale_id, body.wish())
    if view is None:
        return problem(409, "sale_not_choosing", f"Sale {sale_id} does not wait for a choice.")
    return JSONResponse(view)


async def preview(services: LocalServices, request: Request) -> Response:
    """One offer's whole statement on page and customer display, before it is chosen."""
    sale_id, body = sale_of(request), await read(request, Preview)
    view = services.counter.look_at(sale_id, body.plan)
    if view is None:
        return problem(409, "sale_not_choosing", f"Sale {sale_id} does not wait for a choice.")
    return JSONResponse(view)


async def dismiss(services: LocalServices, request: Request) -> Response:
    """The counter is done with a sale: one that waits for its code is given up, nothing was charged."""
    sale_id = sale_of(request)
    if not services.counter.dismiss(sale_id):
        return problem(409, "sale_asking", f"Sale {sale_id} is being asked for.", "Wait for the answer.")
    return JSONResponse({"sale_id": sale_id, "shown": None})


async def offer(services: LocalServices, request: Request) -> Response:
    """The plans for an amount: of the lender of a code, or of one that is named."""
    body = await read(request, AskOffers)
    amount, category = services.amount_of(body.amount.minor, body.amount.currency), body.category
    menu = services.checkout.offers_for(
        Basket(amount, category or services.category), body.code, services.lender_of(body.lender), body.coupon
    )
    return JSONResponse(services.counter.views.offers(menu))


async def explain(services: LocalServices, request: Request) -> Response:
    sale_id = sale_of(request)
    told = services.explain(sale_id)
    if told is None:
        return problem(404, SaleUnknown.code, f"The journal of this lane has no sale {sale_id}.", SaleUnknown.hint)
    return JSONResponse(told)


async def abandon(services: LocalServices, request: Request) -> Response:
    """Wait no longer for the customer's phone: the sale is declined within one question."""
    sale_id = sale_of(request)
    if not services.checkout.wallets.abandon(sale_id):
        return problem(409, "sale_not_waiting", f"Sale {sale_id} does not wait for its customer's phone.")
    return JSONResponse(services.counter.view(sale_id), 202)


async def show_code(services: LocalServices, request: Request) -> Response:
    """A code of the lane's own on the customer's display, which the lender's app pays; once more: printed, if asked."""
    sale_id, body = sale_of(request), await read(request, ShowCode)
    if not services.counter.show_code(sale_id, services.lender_of(body.lender)):
        return problem(409, "sale_not_waiting", f"Sale {sale_id} does not wait for a code.")
    view = await services.counter.wait(sale_id, lambda view: "own_code" in view or view["state"] != "asking", SHOWN_S)
    shown = services.checkout.wallets.code_of(sale_id)
    if body.print and shown is not None:
        view = view | {"job_id": services.slips.print_code(*shown)}
    return JSONResponse(view, 202)


async def code_picture(services: LocalServices, request: Request) -> Response:
    """The lane's own code of a sale as a drawing, as long as it may be paid."""
    shown = services.checkout.wallets.code_of(sale_of(request))
    if shown is None:
        return problem(404, "code_not_shown", "No code is shown for this sale now.")
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(services.draw_code(shown[0].text), headers=headers, media_type="image/svg+xml")


def _is_decided(view: dict[str, Any], after_attempt: int) -> bool:
    """Whether an attempt after the given one has its answer, or will have none before the ledger works again; a
    declined sale goes on waiting for another code."""
    answered = view["attempt"] > after_attempt and view["state"] not in ("waiting", "asking")
    return answered or view["state"] in ("unknown", "choosing")
