"""The calls about the lane itself: its leases, its state and its journal, and what happens at it.

The one rule: thin. The shape of a request is checked, one service is called.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from agent.local.problems import problem
from agent.local.requests import LeaseReturn, account_of, read
from agent.local.services import LocalServices
from agent.services.events import Events

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


async def counter(services: LocalServices, _request: Request) -> Response:
    """All that page and display show: the sale that is at the counter, and how the lane is."""
    status = services.status()
    sale_id = services.counter.shown(status["clock"]["now_s"] - SHOWN_AGAIN_S)
    lane = {name: status[name] for name in ("lane", "store", "conditions", "link", "queue", "print_jobs_waiting")}
    lenders = {row["lender"]: row["name"] for row in status["lenders"]} | dict(services.wallets)
    about = {"merchant": asdict(services.shop), "currency": services.currency, "lenders": lenders}
    return JSONResponse(lane | about | {"sale": services.counter.view(sale_id) if sale_id else None})


async def verify(services: LocalServices, _request: Request) -> Response:
    return JSONResponse(await services.verify_journal())


async def show_heads(services: LocalServices, _request: Request) -> Response:
    return JSONResponse(asdict(services.restoration.heads()))


async def recover(services: LocalServices, _request: Request) -> Response:
    head = await services.restoration.begin_again(services.lender_of(None))
    return JSONResponse({"epoch": head.epoch, "number": head.number, "head": head.hash.hex()})


async def events(services: LocalServices, _request: Request) -> Response:
    return StreamingResponse(_stream(services.events), media_type="text/event-stream")


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
