"""A shop behind its HTTP API, and a certificate for each lane in place of TLS."""

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from backend.api import LANE_SCOPE, create_app
from backend.identity import LaneName
from tests.backend.books import books
from tests.backend.lanes import Shop

__all__ = ["books"]

Call = Callable[..., httpx.Response]


@pytest.fixture
def shop(books: str) -> Iterator[Shop]:
    opened = Shop.open(books, 100_000, 50_000)
    yield opened
    assert opened.findings() == []
    opened.close()


@pytest.fixture
def call(shop: Shop) -> Call:
    """call("POST", "/v1/…", body, lane="A") -> response; lane=None is a peer without a certificate."""
    app = create_app(shop.backend)

    def call(method: str, path: str, body: Any = None, *, lane: str | None = "A", **headers: str) -> httpx.Response:
        async def with_certificate(scope: Any, receive: Any, send: Any) -> None:
            scope[LANE_SCOPE] = LaneName(lane, "merchant-1", "store-1") if lane else None
            await app(scope, receive, send)

        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return _run(_send(with_certificate, method, path, content, headers))

    return call


async def _send(app: Any, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url="https://backend") as client:
        return await client.request(method, path, content=content, headers=named)


def _run(response: Awaitable[httpx.Response]) -> httpx.Response:
    import asyncio

    return asyncio.run(response)  # type: ignore[arg-type]
