"""The calls about the lane's devices: how they are, and a try of each.

The one rule: a device that this lane does not have is told with the setting that gives it one.
"""

from __future__ import annotations

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.core.operators import Action
from agent.errors import DeviceUnavailable
from agent.local.operator_calls import permit
from agent.local.problems import problem
from agent.local.requests import DrawerOpening, VirtualAct, read
from agent.local.services import LocalServices


async def devices(services: LocalServices, _request: Request) -> Response:
    return JSONResponse(await services.check_devices())


async def print_test(services: LocalServices, _request: Request) -> Response:
    result = await services.print_test()
    if result is None:
        return problem(409, "printer_none", "This lane has no printer.", "Set printer.address and restart.")
    return JSONResponse(asdict(result))


async def act(services: LocalServices, request: Request) -> Response:
    wanted = await read(request, VirtualAct)
    try:
        device = await services.act_virtually(wanted.act, wanted.device, wanted.code)
    except DeviceUnavailable as fault:
        return problem(409, "virtual_none", fault.message, "Name one whose address is virtual:PATH (--device).")
    return JSONResponse({"device": device, "act": wanted.act})


async def open_drawer(services: LocalServices, request: Request) -> Response:
    permit(services, request, Action.DRAWER, (await read(request, DrawerOpening)).reason)
    result = await services.open_drawer()
    if result is None:
        return problem(409, "drawer_none", "This lane has no cash drawer.", "Set drawer.attached and restart.")
    return JSONResponse(result)


async def test_display(services: LocalServices, _request: Request) -> Response:
    result = await services.test_display()
    if result is None:
        return problem(409, "display_none", "This lane has no line display.", "Set display.address and restart.")
    return JSONResponse(result)
