"""The calls about the shop's day: its shifts, its close, and what it came to.

The one rule: thin. The shape of a request is checked, one service is called.
"""

from __future__ import annotations

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.core.insights import to_csv
from agent.core.shift import Shift
from agent.local.operator_calls import answering_for
from agent.local.problems import problem
from agent.local.requests import CloseDay, OtherTenders, ShiftClosing, ShiftOpening, day_of, read
from agent.local.services import LocalServices
from agent.services.hold_desk import Refused
from agent.services.shift_report import ShiftAccount
from agent.services.shifts import NONE_OPEN


async def settle(services: LocalServices, request: Request) -> Response:
    body = await read(request, CloseDay)
    lender = body.lender if body.lender and body.lender in services.wallets else services.lender_of(body.lender)
    report = await services.settlement.close_day(lender, body.batch)
    if report is None:
        return problem(409, "batch_unknown", f"There is no batch {body.batch} of {lender} to close.")
    prints = body.print == "always" or (body.print == "once" and not report.was_closed)
    return JSONResponse(asdict(report) | {"print_job": services.slips.print_day(report) if prints else None})


async def show_shift(services: LocalServices, _request: Request) -> Response:
    """The open shift, or the last one."""
    return await _told(services, services.shifts.newest() or Refused(NONE_OPEN), None)


async def open_shift(services: LocalServices, request: Request) -> Response:
    """A shift of whoever is signed in; a supervisor opens that of somebody else too."""
    body = await read(request, ShiftOpening)
    operator = answering_for(request, body.operator)
    before = services.shifts.newest()
    shift = services.shifts.open(operator, body.float_minor, services.currency)
    return await _told(services, shift, body.print, is_new=shift != before)


async def close_shift(services: LocalServices, request: Request) -> Response:
    """A shift is counted by whoever opened it, or by a supervisor."""
    body, newest = await read(request, ShiftClosing), services.shifts.newest()
    answering_for(request, newest.operator if newest else "")
    shift = services.shifts.close(body.counted_minor, body.cash_minor)
    return await _told(services, shift, body.print, is_new=shift != newest)


async def _told(
    services: LocalServices, shift: Shift | Refused, prints: str | None, *, is_new: bool = False
) -> Response:
    if isinstance(shift, Refused):
        return problem(409, shift.reason, *services.counter.views.refusal(shift.reason))
    job = None
    if prints == "always" or (prints == "once" and is_new):
        account = ShiftAccount(shift, await services.shifts.credit(shift))
        job = services.slips.print_shift(account, is_copy=not is_new)
    return JSONResponse(await services.shifts.report(shift) | {"print_job": job})


async def insights(services: LocalServices, request: Request) -> Response:
    """The figures of a day (``day``, today if none is given); as a table with ``format=csv``."""
    found = await services.insights.day(day_of(request.query_params.get("day")))
    if request.query_params.get("format") != "csv":
        return JSONResponse(found)
    named = {"Content-Disposition": f'attachment; filename="insights-{found["day"]}.csv"'}
    return Response(to_csv(found), media_type="text/csv; charset=utf-8", headers=named)


async def other_tenders(services: LocalServices, request: Request) -> Response:
    """What the POS tells of its sales without credit."""
    body = await read(request, OtherTenders)
    day = day_of(body.day)
    services.insights.tell_other_tenders(day, body.count, body.amount_minor)
    return JSONResponse({"day": (day or services.insights.today()).isoformat()})
