"""The calls about the lane itself: its leases, its state and its journal, and what happens at it.

The one rule: thin. The shape of a request is checked, one service is called.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from agent.local.access import Caller
from agent.local.doors import CALLER
from agent.local.problems import problem
from agent.local.requests import LeaseReturn, account_of, read
from agent.local.services import LocalServices
from agent.services.events import RESET, Event
from agent.services.views import for_customer

STILL_HERE_S: Final = 15.0
"""Longest silence of a stream: whoever hears nothing for longer has lost it."""

SHOWN_TO_CUSTOMERS: Final = frozenset({"counter", "link"})
"""Kinds of events that a display gets as they are; a sale it gets without what is the cashier's."""

SEVERITIES: Final = ("info", "warning", "error")
SHOWN_AGAIN_S: Final = 900
"""A sale older than this is over: a start in the morning does not show the last one of the evening."""


async def show_lease(services: LocalServices, request: Request) -> Response:
    account, lender = account_of(request), services.lender_of(request.query_params.get("lender"))
    return _lease(services, lender, account, {})


async def return_lease(services: LocalServices, request: Request) -> Response:
    body = await read(request, LeaseReturn)
    account, lender = account_of(request), services.lender_of(body.lender)
    returned = services.leases.give_back(lender, account, body.amount_minor)
    return _lease(services, lender, account, {"returned_minor": returned})


def _lease(services: LocalServices, lender: str, account: bytes, more: dict[str, int]) -> Response:
    view = services.leases.lease(lender, account)
    if view is None:
        return problem(404, "lease_unknown", "The snapshot of this lane has no record of this account.")
    facts = {"lender": lender, "left_minor": view.remaining_minor, "valid_until_s": view.valid_until_s}
    return JSONResponse(facts | {"lease_epoch": view.epoch} | more)


async def status(services: LocalServices, _request: Request) -> Response:
    return JSONResponse(services.status())


async def counter(services: LocalServices, request: Request) -> Response:
    """All that page and display show, and the id of the last event that is in it."""
    return JSONResponse({"last_event_id": services.events.last_id} | _at_counter(services, request.scope[CALLER]))


def _at_counter(services: LocalServices, caller: Caller) -> dict[str, Any]:
    """The sale that is at the counter, and how the lane is; a customer's display is told less of both."""
    status = services.status()
    sale_id = services.counter.shown(status["clock"]["now_s"] - SHOWN_AGAIN_S)
    sale = services.counter.view(sale_id) if sale_id else None
    lenders = {row["lender"]: row["name"] for row in status["lenders"]} | dict(services.wallets)
    about = {"merchant": asdict(services.shop), "currency": services.currency, "lenders": lenders}
    about["training"] = status["training"]
    if caller is Caller.DISPLAY:
        return about | {"sale": for_customer(sale) if sale else None}
    lane = {name: status[name] for name in ("lane", "store", "conditions", "link", "queue", "print_jobs_waiting")}
    return lane | about | {"sale": sale, "has_just_started": services.counter.has_just_started}


async def health(services: LocalServices, _request: Request) -> Response:
    """For whoever only wants to know whether this lane sells."""
    status = services.status()
    found = status["conditions"]
    worst = max((SEVERITIES.index(condition["severity"]) for condition in found), default=0)
    return JSONResponse(
        {
            "state": ("good", "attention", "broken")[worst],
            "stands_in": not any(condition["ends_stand_in"] for condition in found),
            "link_up": status["link"]["up"],
            "training": status["training"],
            "conditions": [condition["code"] for condition in found],
        }
    )


async def verify(services: LocalServices, _request: Request) -> Response:
    return JSONResponse(await services.verify_journal())


async def show_heads(services: LocalServices, _request: Request) -> Response:
    return JSONResponse(asdict(services.restoration.heads()))


async def recover(services: LocalServices, _request: Request) -> Response:
    head = await services.restoration.begin_again(services.lender_of(None))
    return JSONResponse({"epoch": head.epoch, "number": head.number, "head": head.hash.hex()})


async def events(services: LocalServices, request: Request) -> Response:
    """Server-sent events (WHATWG HTML 9.2), from the one named by Last-Event-ID on. A stream that names none, or one
    that is forgotten, begins with a reset, whose data are those of GET /v1/counter."""
    after = request.headers.get("last-event-id", "")
    return StreamingResponse(_stream(services, after, request.scope[CALLER]), media_type="text/event-stream")


async def _stream(services: LocalServices, after: str, caller: Caller) -> AsyncIterator[str]:
    listener = services.events.subscribe(after)
    try:
        while True:
            try:
                event = await asyncio.wait_for(listener.get(), STILL_HERE_S)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            if event is None:
                return
            data = _told(services, event, caller)
            if data is not None:
                yield f"id: {event['id']}\nevent: {event['type']}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
    finally:
        services.events.unsubscribe(listener)


def _told(services: LocalServices, event: Event, caller: Caller) -> dict[str, Any] | None:
    """The data of an event for this caller; None: nothing for a display."""
    kind, data = event["type"], event["data"]
    if kind == RESET:
        return _at_counter(services, caller)
    if caller is not Caller.DISPLAY:
        return dict(data)
    return for_customer(data) if kind == "sale" else data if kind in SHOWN_TO_CUSTOMERS else None
