"""The lane protocol over HTTP: which call is where, and who may make it.

The one rule: every request passes the same gate (certificate, rate, access), and every answer to a bad one is a problem
document.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backend.access import Call
from backend.bodies import HEADER_BYTES_MAX
from backend.calls import LANE_SCOPE, Calls, lane_of
from backend.compose import Backend
from backend.limits import RequestRate
from backend.problems import Problem
from backend.refusals import Refusals

__all__ = ["LANE_SCOPE", "create_app"]

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_TABLE: Final[tuple[tuple[str, str, Call, Callable[[Calls], Endpoint]], ...]] = (
    ("GET", "/v1/openapi.json", Call.ANYBODY, lambda calls: calls.openapi),
    ("GET", "/v1/ca", Call.ANYBODY, lambda calls: calls.ca),
    ("POST", "/v1/enroll", Call.ANYBODY, lambda calls: calls.enroll),
    ("POST", "/v1/certificates", Call.RENEW, lambda calls: calls.renew),
    ("POST", "/v1/epochs", Call.OTHER, lambda calls: calls.start_epoch),
    ("GET", "/v1/lenders", Call.OTHER, lambda calls: calls.lenders),
    ("GET", "/v1/keys", Call.OTHER, lambda calls: calls.keys),
    ("GET", "/v1/policy", Call.OTHER, lambda calls: calls.policy),
    ("GET", "/v1/snapshot", Call.OTHER, lambda calls: calls.snapshot),
    ("GET", "/v1/snapshot/{lender}/{sequence:int}", Call.OTHER, lambda calls: calls.layer),
    ("PUT", "/v1/snapshot/{lender}/{sequence:int}", Call.OTHER, lambda calls: calls.take_layer),
    ("POST", "/v1/claims", Call.OTHER, lambda calls: calls.claim),
    ("POST", "/v1/heartbeat", Call.REPORT, lambda calls: calls.heartbeat),
    ("POST", "/v1/authorizations", Call.OTHER, lambda calls: calls.authorize),
    ("GET", "/v1/authorizations/{lender}/{sale_id}/{attempt:int}", Call.OTHER, lambda calls: calls.inquire),
    ("POST", "/v1/journal", Call.DRAIN, lambda calls: calls.journal),
    ("GET", "/v1/exceptions", Call.OTHER, lambda calls: calls.exceptions),
    ("GET", "/v1/sales/{lane}/{sale_id}/refundable", Call.OTHER, lambda calls: calls.refundable),
    ("POST", "/v1/refunds", Call.OTHER, lambda calls: calls.refund),
    ("POST", "/v1/settlements", Call.OTHER, lambda calls: calls.settle),
    ("GET", "/v1/events", Call.OTHER, lambda calls: calls.events),
)


def create_app(backend: Backend, *, rate: RequestRate | None = None) -> Starlette:
    """The ASGI application; ``state.hub`` has everybody who listens for events.

    Endpoints run on the event loop, and no transaction is open where one waits: so none interleaves.
    """
    calls, gate = Calls(backend), _Gate(backend, rate or RequestRate(backend.clock), Refusals(backend.clock))
    app = Starlette(
        routes=[Route(path, gate.before(call, of(calls)), methods=[method]) for method, path, call, of in _TABLE],
        exception_handlers={HTTPException: gate.refuse},
    )
    app.state.hub = calls.hub
    app.state.pace = calls.pace
    app.state.lane_came = calls.lane_came
    return app


@dataclass(frozen=True, slots=True)
class _Gate:
    """What every request passes on its way in, and every refusal on its way out."""

    backend: Backend
    rate: RequestRate
    refusals: Refusals

    def before(self, call: Call, endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            try:
                if sum(len(name) + len(value) for name, value in request.headers.raw) > HEADER_BYTES_MAX:
                    raise Problem("headers_too_large", f"at most {HEADER_BYTES_MAX} bytes")
                if call is not Call.ANYBODY:
                    lane = lane_of(request)
                    self.rate.take(lane.lane)
                    self.backend.admit(lane, call)
                if "\0" in request.scope["path"]:
                    raise Problem("not_found")  # a name that PostgreSQL could not even look for
                return await endpoint(request)
            except Exception as error:
                return await self.refuse(request, error)

        return answer

    async def refuse(self, request: Request, error: Exception) -> Response:
        lane = request.scope.get(LANE_SCOPE)
        return self.refusals.answer(error, lane.lane if lane else None)
