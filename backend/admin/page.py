"""The operators' page: lanes, leases, exceptions, settlement and balances, on loopback and without a script.

The one rule: it only shows. Every call is a GET, and only a request that names this machine as its host is answered,
so that no page of another origin can read it through a name of its own (DNS rebinding).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from backend.admin import sections
from backend.admin.html import Markup, join, tag
from backend.admin.operation import REFUSALS, sentence
from backend.admin.words import moment
from backend.compose import Backend

HOST: Final = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.IGNORECASE)
REFRESH_S: Final = 15
STYLE: Final = files("backend.admin").joinpath("page.css").read_text()

_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "refresh": str(REFRESH_S),
}

Section = Callable[[Backend, str], Markup]
_SECTIONS: Final[tuple[Section, ...]] = (
    sections.figures,
    sections.lanes,
    sections.exceptions,
    sections.settlement,
    sections.accounts,
    sections.leases,
)


def create_page_app(backend: Backend) -> Starlette:
    """The ASGI application of the page; ``?lender=`` chooses one of several."""

    async def page(request: Request) -> Response:
        if HOST.fullmatch(request.headers.get("host", "")) is None:
            return PlainTextResponse("this page is for this machine only\n", 421, HEADERS)
        try:
            lender = backend.lender(request.query_params.get("lender", next(iter(backend.lenders)))).lender
            body = document(backend, lender)
        except REFUSALS as error:
            return PlainTextResponse(f"{sentence(error)}\n", 503, HEADERS)
        return Response(body, headers=HEADERS, media_type="text/html")

    return Starlette(routes=[Route("/", page, methods=["GET"])])


def document(backend: Backend, lender: str) -> str:
    """The page of one lender as it is now."""
    known = backend.lenders[lender]
    head = join([Markup('<meta charset="utf-8">'), tag("title", f"Counterfoil: {known.name}"), _style()])
    title = tag("header", tag("h1", known.name), tag("p", f"{lender} · {moment(backend.clock())}"))
    main = tag("main", *(section(backend, lender) for section in _SECTIONS), _footer(backend.lenders))
    return f'<!doctype html>\n<html lang="en">{tag("head", head)}{tag("body", title, main)}</html>\n'


def _style() -> Markup:
    return tag("style", Markup(STYLE))


def _footer(lenders: Mapping[str, Any]) -> Markup:
    others = ", ".join(lenders)
    return tag("footer", f"Read only. Changes: counterfoil-backend. Lenders here: {others}.")
