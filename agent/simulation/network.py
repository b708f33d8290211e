"""The line between a lane and the backend: an httpx transport that loses, delays, repeats and cuts.

The one rule: a request that has left arrives, late or twice if need be, whether or not its sender still waits; only the
dice and the partitions decide what becomes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import httpx

from backend.api import LANE_SCOPE
from backend.identity import LaneName

AsgiApp = Callable[..., Any]
TYPICAL_DELAY_S: Final = 0.03
NEVER_S: Final = 600.0
"""Longer than any caller waits."""

_HTML: Final = b"<html><body>Please log in to the shop's Wi-Fi</body></html>"


@dataclass(slots=True)
class Weather:
    """Chances per message. ``slow``: seconds instead of milliseconds; ``strange``: a torn body or somebody's HTML."""

    lost: float = 0.02
    answer_lost: float = 0.02
    repeated: float = 0.02
    slow: float = 0.03
    strange: float = 0.02


CALM: Final = Weather(0, 0, 0, 0, 0)


@dataclass(slots=True)
class Line:
    """One lane's way to the backend. ``up_cut``, ``down_cut``: nothing gets there, nothing comes back."""

    weather: Weather = field(default_factory=Weather)
    up_cut: bool = False
    down_cut: bool = False


class Network:
    """All lines, and the backend's end of them: ``app`` is None while the backend is down.

    ``arrived`` is told of each request that may have changed the backend's books.
    """

    def __init__(self, random: Random, arrived: Callable[[str], None]) -> None:
        self._random, self._arrived = random, arrived
        self._deliveries: list[asyncio.Task[Any]] = []
        self.app: AsgiApp | None = None
        self.lines: dict[str, Line] = {}

    def transport(self, name: LaneName) -> httpx.AsyncBaseTransport:
        line = self.lines.setdefault(name.lane, Line())
        return _Transport(self, line, name)

    def break_deliveries(self) -> None:
        """The backend's process dies: what it was just doing for anybody ends."""
        for task in self._deliveries:
            task.cancel()
        self._deliveries.clear()

    async def carry(self, line: Line, name: LaneName, request: httpx.Request) -> httpx.Response:
        if "text/event-stream" in request.headers.get("accept", ""):
            return httpx.Response(406)  # as a proxy that lets no stream through: the lane polls instead
        body = await request.aread()
        weather, random = line.weather, self._random
        if line.up_cut or self.app is None or random.random() < weather.lost:
            return await self._swallowed()
        deliveries = [self._deliver(name, request, body, self._delay_s(weather))]
        if random.random() < weather.repeated:
            deliveries.append(self._deliver(name, request, body, self._delay_s(weather) * 40))
        answer = await asyncio.shield(deliveries[0])
        await asyncio.sleep(self._delay_s(weather))
        if line.down_cut or answer is None or random.random() < weather.answer_lost:
            return await self._swallowed(refusals=False)
        return self._perhaps_strange(weather, answer)

    async def _swallowed(self, *, refusals: bool = True) -> httpx.Response:
        """No answer: the connection is refused, breaks, or simply stays silent."""
        fate = self._random.random()
        if refusals and fate < 0.5:
            raise httpx.ConnectError("no route to the backend")
        if fate < 0.75:
            await asyncio.sleep(self._random.random())
            raise httpx.ReadError("connection reset")
        await asyncio.sleep(NEVER_S)
        raise httpx.ReadTimeout("silence")

    def _perhaps_strange(self, weather: Weather, answer: httpx.Response) -> httpx.Response:
        if self._random.random() >= weather.strange:
            return answer
        if self._random.random() < 0.5:
            return httpx.Response(200, headers={"content-type": "text/html"}, content=_HTML)
        kind = {"content-type": answer.headers.get("content-type", "")}
        return httpx.Response(answer.status_code, headers=kind, content=answer.content[: len(answer.content) // 2])

    def _delay_s(self, weather: Weather) -> float:
        if self._random.random() < weather.slow:
            return self._random.uniform(0.5, 8.0)
        return self._random.expovariate(1 / TYPICAL_DELAY_S)

    def _deliver(
        self, name: LaneName, request: httpx.Request, body: bytes, delay_s: float
    ) -> asyncio.Task[httpx.Response | None]:
        """A task of its own: the sender may give up, the message goes on."""
        task = asyncio.get_running_loop().create_task(self._arrive(name, request, body, delay_s))
        self._deliveries = [known for known in self._deliveries if not known.done()] + [task]
        return task

    async def _arrive(self, name: LaneName, request: httpx.Request, body: bytes, delay_s: float) -> Any:
        await asyncio.sleep(delay_s)
        if self.app is None:
            return None
        answer = await _call(self.app, name, request, body)
        if request.method == "POST" and not request.url.path.endswith("heartbeat"):
            self._arrived(f"{name.lane} {request.url.path} {answer.status_code}")
        return answer


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, network: Network, line: Line, name: LaneName) -> None:
        self._network, self._line, self._name = network, line, name

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._network.carry(self._line, self._name, request)


async def _call(app: AsgiApp, name: LaneName, request: httpx.Request, body: bytes) -> httpx.Response:
    """One request to an ASGI application, as its server would make it for a lane with a certificate."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(_scope(name, request), receive, send)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=content)


def _scope(name: LaneName, request: httpx.Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(key.lower(), value) for key, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path,
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port or 443),
        "client": ("lane", 1),
        "root_path": "",
        LANE_SCOPE: name,
    }
