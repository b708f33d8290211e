"""The pages of a counter, for the cashier and for the customer, as files that ship with the package.

The one rule: a page is served to whoever may open the listener, with a policy that lets it load nothing but its own
files; what it shows, it asks of the local API like everybody else.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from agent.local.services import LocalServices
from agent.texts import LANGUAGES, catalogue

MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
SECTIONS: Final = ("reasons", "page")
"""Of the text catalogues, what a page shows."""
HEADERS: Final = {
    "Cache-Control": "no-cache",
    # W3C Content Security Policy Level 3: no script, style or picture but these files, no frame around them.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _loaded() -> dict[str, tuple[str, bytes]]:
    """Every file of the pages, its media type and bytes, by name."""
    found: dict[str, tuple[str, bytes]] = {}
    for file in files("agent.local").joinpath("page").iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in MEDIA_TYPES:
            found[file.name] = (MEDIA_TYPES[suffix], file.read_bytes())
    for language in LANGUAGES:
        said = {section: catalogue(language)[section] for section in SECTIONS}
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        found[f"texts.{language}.json"] = ("application/json", text.encode())
    return found


FILES: Final = _loaded()


async def cashier(_services: LocalServices, _request: Request) -> Response:
    """``/``: where the cashier works."""
    return _served("cashier.html")


async def customer(_services: LocalServices, _request: Request) -> Response:
    """``/customer``: what the customer sees; it can do nothing."""
    return _served("customer.html")


async def part(_services: LocalServices, request: Request) -> Response:
    """A file that a page names."""
    return _served(request.path_params["name"])


def _served(name: str) -> Response:
    media_type, body = FILES.get(name, ("text/plain", b""))
    return Response(body, 200 if name in FILES else 404, headers=HEADERS, media_type=media_type)
