"""The calls about what becomes of an approved sale, by its id or by its slip, of this lane or of another.

The one rule: thin. The shape of a request is checked, one service is called.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.core.authorization import Hold
from agent.core.money import Money
from agent.core.slip_claim import SlipName, read_slip
from agent.local.problems import problem
from agent.local.requests import (
    LANE_CHARS_MAX,
    BadRequest,
    Capture,
    Refund,
    Reversal,
    SlipClaim,
    SlipRefund,
    is_sale_id,
    read,
    sale_of,
)
from agent.local.services import LocalServices
from agent.services.hold_desk import UNKNOWN, Refused


async def capture(services: LocalServices, request: Request) -> Response:
    sale_id, body = sale_of(request), await read(request, Capture)
    hold = await services.holds.capture(sale_id, body.amount_minor, final=body.final, request=body.request_id)
    return _changed(services, sale_id, hold)


async def reverse(services: LocalServices, request: Request) -> Response:
    sale_id, body = sale_of(request), await read(request, Reversal)
    return _changed(services, sale_id, await services.holds.reverse(sale_id, body.reason))


async def void(services: LocalServices, request: Request) -> Response:
    sale_id, body = sale_of(request), await read(request, Reversal)
    return _changed(services, sale_id, await services.holds.void(sale_id, body.reason))


async def refund(services: LocalServices, request: Request) -> Response:
    sale_id, body = sale_of(request), await read(request, Refund)
    return await _refunded(services, sale_id, body.amount_minor, body)


async def reprint(services: LocalServices, request: Request) -> Response:
    """The sale's newest slip once more, as a copy; of a declined sale the slip that says so."""
    job_id = services.slips.print_again(sale_of(request))
    return _refused(services, job_id) if isinstance(job_id, Refused) else JSONResponse({"print_job": job_id}, 202)


async def refund_slip(services: LocalServices, request: Request) -> Response:
    """A refund of whatever lane's sale: this lane's own at once, another's online."""
    body = await read(request, SlipRefund)
    lane, sale_id, lender = _slip_of(body)
    if lane == services.lane:
        amount = services.amount_of(body.amount.minor, body.amount.currency)
        return await _refunded(services, sale_id, amount.minor, body)
    amount, known = Money(body.amount.minor, body.amount.currency), services.lender_of(lender or body.lender)
    refund = await services.slip_refunds.refund(known, lane, sale_id, amount, body.request_id)
    return JSONResponse(services.counter.views.refund_view(refund))


async def claim(services: LocalServices, request: Request) -> Response:
    body = await read(request, SlipClaim)
    return JSONResponse(await services.claim(body.claim))


async def _refunded(
    services: LocalServices, sale_id: str, amount_minor: int | None, body: Refund | SlipRefund
) -> Response:
    hold = await services.holds.refund(sale_id, amount_minor, request=body.request_id, reason=body.reason)
    return _changed(services, sale_id, hold)


def _changed(services: LocalServices, sale_id: str, hold: Hold | Refused) -> Response:
    return _refused(services, hold) if isinstance(hold, Refused) else JSONResponse(services.counter.view(sale_id))


def _refused(services: LocalServices, refused: Refused) -> Response:
    why, instead = services.counter.views.refusal(refused.reason)
    return problem(404 if refused.reason == UNKNOWN else 409, refused.reason, why, instead)


def _slip_of(body: SlipRefund) -> SlipName:
    """Which sale the slip is of. Raises BadRequest."""
    named = read_slip(body.slip) if body.slip else None
    if not body.slip and body.lane and body.sale_id:
        named = SlipName(body.lane, body.sale_id)
    if named is None or len(named.lane) > LANE_CHARS_MAX or not is_sale_id(named.sale_id):
        raise BadRequest(422, "slip_malformed", "Scan the slip's code, or give lane and sale_id.")
    return named
