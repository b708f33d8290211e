"""Faults and refusals as problem documents (RFC 9457).

The one rule: the caller reads what happened and what to do, never a stack trace.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from agent.core.money import MoneyError
from agent.errors import (
    CodeNotShown,
    CounterfoilError,
    IdempotencyConflict,
    LedgerError,
    LeftBefore,
    NothingToRecover,
    OfferRefused,
    OperatorRefused,
    OperatorsUnreadable,
    UplinkRefused,
    UplinkUnavailable,
)
from agent.local.access import Denied
from agent.local.requests import BadRequest
from agent.local.services import LocalServices
from agent.texts import LANGUAGES, text

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
Call: TypeAlias = Callable[[LocalServices, Request], Awaitable[Response]]


def problem(status: int, kind: str, detail: str, hint: str = "", **more: object) -> JSONResponse:
    """``kind`` is a stable word, ``hint`` what to do; ``more`` are members of this kind alone."""
    body = {"type": f"urn:counterfoil:problem:{kind}", "title": kind, "status": status, "detail": detail, "hint": hint}
    return JSONResponse(body | more, status, media_type="application/problem+json")


def denied(error: Denied) -> Response:
    """The problem document of who is not let in."""
    answer = problem(error.status, error.kind, str(error), error.hint)
    if error.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def guarded(call: Call, services: LocalServices) -> Endpoint:
    """Faults become problem documents: the caller reads what to do, never a stack trace."""

    async def answer(request: Request) -> Response:
        try:
            return await call(services, request)
        except BadRequest as error:
            return problem(error.status, error.kind, str(error))
        except Denied as error:
            return denied(error)
        except ClientDisconnect:
            return problem(400, "caller_gone", "The caller hung up.")  # nobody reads it
        except MoneyError as error:
            return problem(422, "amount", str(error))
        except (LedgerError, UplinkUnavailable) as error:
            return problem(503, error.code, error.message, error.hint)
        except (CodeNotShown, OfferRefused) as error:
            return _in_words(409, error.reason, services)
        except OperatorRefused as error:
            return _in_words(403, error.reason, services, wait_s=error.wait_s)
        except OperatorsUnreadable as error:
            return problem(503, error.code, error.message, error.hint)
        except (IdempotencyConflict, LeftBefore, NothingToRecover, UplinkRefused) as error:
            return problem(409, error.code, error.message, error.hint)
        except CounterfoilError as error:
            return problem(500, error.code, error.message, error.hint)

    return answer


async def not_served(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, "not_served", f"There is no {request.method} {request.url.path} here.")


async def failed(_: Request, error: Exception) -> Response:
    return problem(500, "internal", f"internal fault: {type(error).__name__}", CounterfoilError.hint)


def _in_words(status: int, reason: str, services: LocalServices, **more: object) -> JSONResponse:
    """In the lane's language, and in every one: whoever shows it to a cashier and to a customer has both sentences."""
    texts = {
        language: {name: text(language, reason, name) for name in ("cashier", "customer", "next")}
        for language in LANGUAGES
    }
    why, instead = services.counter.views.refusal(reason)
    return problem(status, reason, why, instead, texts=texts, **more)
