"""The backend on the line: TLS 1.3, and the peer's certificate as the lane's identity.

The one rule: a client certificate is verified by TLS against the backend's own CA before any request is read; only
``/v1/ca`` and ``/v1/enroll`` answer to a peer without one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from backend.api import LANE_SCOPE, create_app
from backend.compose import Backend
from backend.database import FAULTS
from backend.events import Hub
from backend.identity import lane_name

CONNECTIONS_MAX: Final = 512
IDLE_S: Final = 75

log = logging.getLogger("counterfoil.backend")


class LaneProtocol(H11Protocol):
    """HTTP/1.1 that hands the verified peer certificate to the application, which uvicorn hides."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        lane = lane_name(connection.getpeercert()) if connection else None
        inner = self.app

        async def with_lane(scope: Any, receive: Any, send: Any) -> None:
            scope[LANE_SCOPE] = lane
            await inner(scope, receive, send)

        self.app = with_lane


class _Server(uvicorn.Server):
    """A server that ends by itself on SIGTERM or SIGINT, where uvicorn would kill the process with the same signal
    once more, before the database is closed."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Streams of events have no end of their own, and the server would wait for it."""
        self._hub.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def tls_context(directory: Path) -> ssl.SSLContext:
    """TLS 1.3 with the server's certificate; client certificates are asked for, and if shown must be the CA's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(directory / "server.crt", directory / "server.key")
    context.load_verify_locations(directory / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


async def serve(backend: Backend, directory: Path, host: str, port: int, *, refresh_s: float) -> None:
    """Answer until told to stop; snapshots are looked after every ``refresh_s`` seconds."""
    app = create_app(backend)
    hub: Hub = app.state.hub
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=LaneProtocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=IDLE_S,
        ssl_context_factory=lambda _config, _default: tls_context(directory),
    )
    refresh = asyncio.create_task(_refresh(backend, hub, refresh_s))
    try:
        await _Server(config, hub).serve()
    finally:
        refresh.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await refresh


async def _refresh(backend: Backend, hub: Hub, refresh_s: float) -> None:
    while True:
        try:
            if backend.refresh_snapshots():
                hub.wake()
        except FAULTS as error:
            log.error("snapshots were not refreshed: %s", type(error).__name__)
        await asyncio.sleep(refresh_s)
