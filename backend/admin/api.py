"""The operators' door on the running server: POST /v1/operations/NAME with JSON, answered in lines of JSON.

The one rule: an operation runs on the server's own loop and leaves it between two of its steps, so that the database
keeps its one process and no lane waits for an operator.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from backend.admin.operation import Operation, Refused, Step, perform
from backend.compose import Backend

REQUEST_BYTES_MAX: Final = 1024 * 1024
LINES: Final = "application/x-ndjson"

log = logging.getLogger("counterfoil.backend.admin")


def create_admin_app(backend: Backend, table: Mapping[str, Operation]) -> Starlette:
    """The ASGI application. Each line of an answer is {"progress"}, {"answer"} or {"refused": sentence}."""

    async def operate(request: Request) -> Response:
        name = request.path_params["name"]
        try:
            params = await _params(request)
        except Refused as refusal:
            return Response(_line({"refused": str(refusal)}), media_type=LINES)
        log.info("operator: %s", name)
        return StreamingResponse(_lines(table, backend, name, params), media_type=LINES)

    return Starlette(routes=[Route("/v1/operations/{name}", operate, methods=["POST"])])


async def _params(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > REQUEST_BYTES_MAX:
            raise Refused(f"a request has at most {REQUEST_BYTES_MAX} bytes")
    try:
        params = json.loads(bytes(body) or b"{}")
    except (ValueError, RecursionError):
        params = None
    if not isinstance(params, dict):
        raise Refused("a request is a JSON object")
    return params


async def _lines(
    table: Mapping[str, Operation], backend: Backend, name: str, params: Mapping[str, Any]
) -> AsyncIterator[bytes]:
    try:
        for step in perform(table, backend, name, params):
            yield _line(step)
            await asyncio.sleep(0)  # lanes first
    except Refused as refusal:
        yield _line({"refused": str(refusal)})
    except Exception:
        log.exception("the operation %s failed", name)
        yield _line({"refused": "the server failed at this; its log says how"})


def _line(step: Step) -> bytes:
    return json.dumps(step, ensure_ascii=False).encode() + b"\n"
