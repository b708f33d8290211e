"""The call by which a trainee lets things happen; served at a training counter alone.

The one rule: what happens, happens to virtual devices and to the training line, never to the lane's own records.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.errors import DeviceUnavailable
from agent.local.problems import problem
from agent.local.requests import Scene, read
from agent.local.services import LocalServices


async def play(services: LocalServices, request: Request) -> Response:
    wanted = await read(request, Scene)
    assert services.scene is not None, "this call is served at training counters alone"
    try:
        return JSONResponse(await services.scene(wanted.what))
    except DeviceUnavailable as fault:
        return problem(409, "virtual_none", fault.message, "This counter trains with its own device: do it there.")
