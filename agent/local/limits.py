"""What one caller of the local API may take: connections, time, requests. A sale by the POS is answered all the same.

The one rule: whoever is too much pays itself. A caller is a process (SO_PEERCRED, unix(7)): each has its own share of
connections and its own pace, and only a connection that has sent no whole request is ever closed to make room. All of
loopback HTTP, whose processes the kernel does not name, is one process here.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from typing import Final, cast

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_MAX: Final = 128
"""All callers together: with ledger, devices and log far below the 1,024 descriptors that a process has by default."""
PEER_CONNECTIONS_MAX: Final = 32
BACKLOG: Final = 256
"""Connections that wait to be accepted, and at most so many accepted at once: a crowd is turned away in steps."""
REQUEST_S: Final = 5.0
"""From its first byte (or the connection) to its last; callers are on this computer."""
HEADER_BYTES_MAX: Final = 16 * 1024
REQUESTS_PER_S: Final = 100.0
REQUESTS_BURST: Final = 200.0
"""A till asks a few times a second; a loop that went wrong asks ten thousand times."""
HTTP: Final = "http"
"""The peer of every connection that does not come over the Unix socket."""
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid


class Connection(H11Protocol):
    """One connection, closed at once when its caller has too many, and as soon as a request takes too long."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.client = _peer(transport)
        others = self._others()
        mine = [other for other in others if other.client == self.client]
        if len(mine) >= PEER_CONNECTIONS_MAX and not (self.client[0] == HTTP and _make_room(mine)):
            transport.abort()
            return
        self._begin()
        if len(others) >= CONNECTIONS_MAX:
            _make_room([*others, self])

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._end()
        elif self._late is None:
            self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    @property
    def waits_since(self) -> float | None:
        """When the request was due that is not whole yet (the loop's time); None when none is awaited."""
        return self._late.when() if self._late else None

    def drop(self) -> None:
        self._end()
        self.transport.abort()

    def _others(self) -> list[Connection]:
        there = [cast(Connection, other) for other in self.connections if other is not self]
        return [other for other in there if not other.transport.is_closing()]

    def _begin(self) -> None:
        self._late = self.loop.call_later(REQUEST_S, self.drop)

    def _end(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def _peer(transport: asyncio.Transport) -> tuple[str, int]:
    """The process at the other end and its user, as the kernel knows them; "" when it does not say."""
    line: socket.socket = transport.get_extra_info("socket")
    if line.family != socket.AF_UNIX:
        return HTTP, 0
    try:
        pid, uid, _ = _CREDENTIALS.unpack(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    except OSError:
        return "", -1
    return str(pid), uid


def _make_room(connections: list[Connection]) -> bool:
    """Close the one that has waited longest for its own request; False when all are being served."""
    waiting = [(other.waits_since, number) for number, other in enumerate(connections) if other.waits_since is not None]
    if waiting:
        connections[min(waiting)[1]].drop()
    return bool(waiting)


class Paced:
    """An ASGI application that each caller may ask only so often; whoever is faster waits for its turn."""

    def __init__(self, app: ASGIApp, now_s: Callable[[], float] = time.monotonic) -> None:
        self._app, self._now_s = app, now_s
        self._paid_until_s: dict[str, float] = {}  # by caller: when all that it has asked is paid for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait_s = self.wait_s(scope["client"][0] if scope.get("client") else "")
        if wait_s:
            await asyncio.sleep(wait_s)
        await self._app(scope, receive, send)

    def wait_s(self, peer: str) -> float:
        """How long the next request of this caller waits; it is counted."""
        now_s = self._now_s()
        if len(self._paid_until_s) > CONNECTIONS_MAX:
            self._paid_until_s = {who: until_s for who, until_s in self._paid_until_s.items() if until_s > now_s}
        until_s = max(self._paid_until_s.get(peer, now_s), now_s) + 1 / REQUESTS_PER_S
        self._paid_until_s[peer] = until_s
        return max(0.0, until_s - now_s - REQUESTS_BURST / REQUESTS_PER_S)
