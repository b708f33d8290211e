"""The doors of the local API: the Unix socket, and loopback HTTP where it is switched on.

The one rule: whoever comes in is known before anything is looked up, and a refusal is paced as every answer is.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.local.access import ANSWER_HEADERS, Caller, Denied, caller_over_http
from agent.local.limits import HTTP, Paced
from agent.local.problems import denied

CALLER: Final = "counterfoil.caller"
"""Where a request's scope holds who asks."""


class Doors:
    """Knows each caller, then lets it ask at its pace. ``secret``: from which tokens and cookies are derived."""

    def __init__(self, app: ASGIApp, secret: bytes) -> None:
        self._paced, self._secret = Paced(app), secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (scope.get("client") or ("",))[0] != HTTP:
            await self._paced({**scope, CALLER: Caller.SOCKET}, receive, send)
            return
        try:
            caller = caller_over_http(scope["method"], Headers(scope=scope), scope["server"][1], self._secret)
        except Denied as error:
            await asyncio.sleep(self._paced.wait_s("denied"))
            await denied(error)(scope, receive, _with_headers(send))
            return
        await self._paced({**scope, CALLER: caller, "client": (str(caller), 0)}, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def answered(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in ANSWER_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return answered
