"""The calls about operators: who may sign in, signing in and out; and which session a request is made in.

The one rule: a page's session is a cookie that no script reads; POS software sends it as a header.
"""

from __future__ import annotations

import os
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.core.operators import Action, Operator, Role
from agent.errors import OperatorRefused
from agent.local.access import Caller
from agent.local.doors import CALLER
from agent.local.requests import BadRequest, SignIn, is_sale_id, read
from agent.local.services import LocalServices

HEADER: Final = "Counterfoil-Operator"
COOKIE: Final = "counterfoil_operator"
OPERATOR: Final = "counterfoil.operator"
"""Where the scope of a sensitive request holds who is signed in; None: nobody needs to be."""
_COOKIE_RULES: Final = "Path=/; HttpOnly; SameSite=Strict"


async def operators(services: LocalServices, request: Request) -> Response:
    return JSONResponse(services.operators.overview(_session_of(request)))


async def sign_in(services: LocalServices, request: Request) -> Response:
    body = await read(request, SignIn)
    session, operator = await services.operators.sign_in(body.operator, body.pin)
    shown = {"operator": operator.name, "role": str(operator.role)}
    if request.scope[CALLER] is not Caller.CASHIER:
        return JSONResponse(shown | {"session": session}, 201)
    return JSONResponse(shown, 201, {"Set-Cookie": f"{COOKIE}={session}; {_COOKIE_RULES}"})


async def sign_out(services: LocalServices, request: Request) -> Response:
    """The session of this request is over; so is one that was over before."""
    services.operators.sign_out(_session_of(request) or "")
    return JSONResponse({"signed_in": None}, headers={"Set-Cookie": f"{COOKIE}=; Max-Age=0; {_COOKIE_RULES}"})


def permit(services: LocalServices, request: Request, action: Action, why: str | None = None) -> None:
    """Whoever is found to be responsible is in the request's scope as ``OPERATOR``. Raises OperatorRefused,
    OperatorsUnreadable, ledger faults; BadRequest for what can be no sale: it is recorded before it is looked up."""
    sale_id = request.path_params.get("sale_id")
    if sale_id is not None and not is_sale_id(sale_id):
        raise BadRequest(404, "sale_unknown", "This is no sale id.")
    owner = _owner(request)
    request.scope[OPERATOR] = services.operators.permit(action, _session_of(request), sale_id or why, owner=owner)


def answering_for(request: Request, name: str | None) -> str:
    """Who a shift is of: the operator who is signed in, or whom a supervisor names. Raises OperatorRefused,
    BadRequest."""
    signed_in: Operator | None = request.scope[OPERATOR]
    if signed_in is None and name is None:
        raise BadRequest(422, "body_malformed", "operator: nobody is signed in, so say who")
    if signed_in is not None and name not in (None, signed_in.name) and signed_in.role is not Role.SUPERVISOR:
        raise OperatorRefused("role_required")
    return name or (signed_in.name if signed_in else "")


def _session_of(request: Request) -> str | None:
    return request.headers.get(HEADER) or request.cookies.get(COOKIE)


def _owner(request: Request) -> str | None:
    """The user of the Unix socket who could open the ledger anyway, root or the agent's own; None: anybody else."""
    uid = request.client.port if request.scope[CALLER] is Caller.SOCKET and request.client else -1
    return f"uid:{uid}" if uid in (0, os.geteuid()) else None
