"""Who may call what, as data: the callers of the local API, how each is known, and what each may do.

The one rule: over HTTP nothing is believed that a web page could make a browser send. The Host is one of this very
listener, an Origin is its own, a body is JSON, and there is no CORS; a caller is known by a token or a cookie that is
derived from a secret of this lane (RFC 2104), so that it is good after a restart too.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from enum import StrEnum
from http.cookies import CookieError, SimpleCookie
from typing import Final

from starlette.datastructures import Headers


class Caller(StrEnum):
    """Who asks. ``SOCKET``: a process of the group, on the Unix socket; the others come over loopback HTTP."""

    SOCKET = "socket"
    POS = "pos"
    CASHIER = "cashier"
    DISPLAY = "display"
    NOBODY = "nobody"


EVERYBODY: Final = frozenset(Caller)
READERS: Final = EVERYBODY - {Caller.NOBODY}
SELLERS: Final = READERS - {Caller.DISPLAY}
TILL_SOFTWARE: Final = frozenset({Caller.SOCKET, Caller.POS})
LOCAL_TOOLS: Final = frozenset({Caller.SOCKET})

COOKIES: Final[Mapping[Caller, str]] = {Caller.CASHIER: "counterfoil_cashier", Caller.DISPLAY: "counterfoil_display"}
"""The pages' sessions, the one that may do more first."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
OWN_SITES: Final = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site (W3C Fetch Metadata) of a page of this very origin, and of an address typed by hand."""

NAMES: Final = ("127.0.0.1", "localhost")
ANSWER_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What every answer over HTTP says, unless it says something of its own; a page has a policy for its own scripts."""


class Denied(Exception):
    """Who is not let in: HTTP status, kind of problem, a sentence, what to do. The only refusal of this file."""

    def __init__(self, status: int, kind: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.hint = status, kind, hint


def proof_of(caller: Caller, secret: bytes) -> str:
    """The token or cookie by which a caller is known, 64 hexadecimal digits."""
    return hmac.new(secret, f"counterfoil/{caller}".encode(), hashlib.sha256).hexdigest()


def cookie_of(caller: Caller, secret: bytes) -> str:
    """The Set-Cookie line of a page's session: for this host alone, unseen by scripts, never sent by another site."""
    return f"{COOKIES[caller]}={proof_of(caller, secret)}; Path=/; HttpOnly; SameSite=Strict"


def caller_over_http(method: str, headers: Headers, port: int, secret: bytes) -> Caller:
    """Who asks over the loopback listener at ``port``. Raises Denied."""
    _check_place(method, headers, port)
    bearer = headers.get("authorization")
    if bearer is not None:
        if not hmac.compare_digest(bearer.encode(), f"Bearer {proof_of(Caller.POS, secret)}".encode()):
            raise Denied(401, "token_wrong", "This is not the token of this lane.", "`counterfoil token` shows it.")
        return Caller.POS
    shown = _cookies(headers)
    for caller, name in COOKIES.items():
        if hmac.compare_digest(shown.get(name, "").encode(), proof_of(caller, secret).encode()):
            return caller
    return Caller.NOBODY


def refused(caller: Caller) -> Denied:
    """Why a caller may not make a call that exists."""
    if caller is Caller.NOBODY:
        return Denied(
            401,
            "token_required",
            "This call needs to know who asks.",
            "Send `Authorization: Bearer TOKEN`; `counterfoil token` shows it.",
        )
    return Denied(403, "not_allowed", f"The {caller} may not do this.", "Use the Unix socket, or a caller that may.")


def _check_place(method: str, headers: Headers, port: int) -> None:
    """Whether the request is meant for this listener and made by nobody else's page (DNS rebinding, CSRF)."""
    hosts = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())
    if len(headers.getlist("host")) != 1 or headers["host"].lower() not in hosts:
        raise Denied(421, "host", "This listener has another name.", f"Ask http://{NAMES[0]}:{port}.")
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if origin not in (None, f"http://{headers['host'].lower()}") or site not in OWN_SITES:
        raise Denied(403, "origin", "Another site's page may not ask here.", "Open the lane's own page.")
    if method in SAFE_METHODS:
        return
    if origin is None and "authorization" not in headers and "cookie" in headers:
        raise Denied(403, "origin", "A page says where it comes from.", "Send Origin, or a token instead of a cookie.")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Denied(415, "media_type", "A request here is JSON.", "Send `Content-Type: application/json`.")


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        found = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in found.items()}
