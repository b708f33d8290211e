"""The pages of a counter, for the cashier and for the customer, as files that ship with the package.

The one rule: a page is opened by a link that is good once, and is served with a policy that lets it load nothing but
its own files; what it shows, it asks of the local API like everybody else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.local.access import READERS, Caller
from agent.local.doors import CALLER
from agent.local.page_links import VALID_S
from agent.local.requests import PageLink, read
from agent.local.services import LocalServices
from agent.texts import LANGUAGES, catalogue

MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
PAGES: Final[Mapping[str, Caller]] = {"cashier": Caller.CASHIER, "customer": Caller.DISPLAY}
SECTIONS: Final = ("reasons", "page")
"""Of the text catalogues, what a page shows."""
_STYLE: Final = '<link rel="stylesheet" href="/page/training.css">\n'
_TRAY: Final = '<script type="module" src="/page/training.js"></script>\n'
MARKED_HEAD: Final = {"cashier": _STYLE + _TRAY, "customer": _STYLE}
MARKED_BODY: Final = (
    '<body class="{name} training">\n<p id="training" role="note">'
    '<span lang="zh-CN">培训模式 · 不扣任何款项</span><span lang="en">TRAINING · nothing is charged</span></p>'
)
"""What makes a page one of a training counter; the trainee's tray is the cashier's alone."""
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


def lean(source: str) -> str:
    """A file without its indentation and without comments that have their lines to themselves: the same lines of code,
    a sixth less to load. No text of the pages runs over several lines."""
    return re.sub(r"(?m)^\s+", "", re.sub(r"(?ms)^\s*(?:/\*.*?\*/|//[^\n]*)$", "", source))


def _loaded() -> dict[str, tuple[str, bytes]]:
    """Every file of the pages, its media type and bytes, by name."""
    found: dict[str, tuple[str, bytes]] = {}
    for file in files("agent.local").joinpath("page").iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in MEDIA_TYPES:
            found[file.name] = (MEDIA_TYPES[suffix], lean(file.read_text(encoding="utf-8")).encode())
    for language in LANGUAGES:
        said = {section: catalogue(language)[section] for section in SECTIONS}
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        found[f"texts.{language}.json"] = ("application/json", text.encode())
        scenes = json.dumps(catalogue(language)["training"], ensure_ascii=False, separators=(",", ":"))
        found[f"training.{language}.json"] = ("application/json", scenes.encode())
    return found


FILES: Final = _loaded()


async def make_link(services: LocalServices, request: Request) -> Response:
    """Where a browser opens a page, once. POS software puts its own http://127.0.0.1:PORT before ``path``."""
    body = await read(request, PageLink)
    ticket = services.page_links.make(PAGES[body.page])
    return JSONResponse({"page": body.page, "path": f"/open/{body.page}/{ticket}", "valid_s": VALID_S}, 201)


async def open_cashier(services: LocalServices, request: Request) -> Response:
    return _opened(services, request, Caller.CASHIER, "/")


async def open_customer(services: LocalServices, request: Request) -> Response:
    return _opened(services, request, Caller.DISPLAY, "/customer")


def _opened(services: LocalServices, request: Request, page: Caller, place: str) -> Response:
    """On to the page; a link that is used up, by a reload too, opens it where it is open already, and nowhere else."""
    if services.page_links.use(page, request.path_params["ticket"]) or request.scope[CALLER] is page:
        return Response(status_code=303, headers={"Location": place})
    return _closed()


async def cashier(services: LocalServices, request: Request) -> Response:
    """``/``: where the cashier works."""
    return _page(services, "cashier") if request.scope[CALLER] in (Caller.CASHIER, Caller.SOCKET) else _closed()


async def customer(services: LocalServices, request: Request) -> Response:
    """``/customer``: what the customer sees; it can do nothing."""
    return _page(services, "customer") if request.scope[CALLER] in READERS - {Caller.POS} else _closed()


async def part(_services: LocalServices, request: Request) -> Response:
    """A file that a page names."""
    return _served(request.path_params["name"])


def _closed() -> Response:
    """Says how the page is opened."""
    return _served("closed.html", 401)


def _page(services: LocalServices, name: str) -> Response:
    """At a training counter marked from its first byte on: also when no script runs and no agent answers."""
    page = _served(f"{name}.html")
    if services.scene is not None:
        text = bytes(page.body).decode().replace("</head>", MARKED_HEAD[name] + "</head>", 1)
        page.body = text.replace(f'<body class="{name}">', MARKED_BODY.format(name=name), 1).encode()
        page.headers["Content-Length"] = str(len(page.body))
    return page


def _served(name: str, status: int = 200) -> Response:
    media_type, body = FILES.get(name, ("text/plain", b""))
    return Response(body, status if name in FILES else 404, headers=HEADERS, media_type=media_type)
