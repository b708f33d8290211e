"""The backend as a server: TLS 1.3, and how it begins and ends.

The one rule: a client certificate is verified by TLS against the backend's own CA before any request is read; only
``/v1/ca``, ``/v1/enroll`` and ``/v1/openapi.json`` answer to a peer without one. Its time alone is left to
``backend.access``: a lane whose certificate has expired still has sales to send.
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
from typing import Final

import uvicorn

from backend.api import create_app
from backend.bodies import HEADER_BYTES_MAX
from backend.compose import Backend
from backend.database import FAULTS, Contended
from backend.events import Hub
from backend.line import LaneProtocol
from backend.pace import Pace

IDLE_S: Final = 75
POST_ENTRIES: Final = 40
"""How many stored entries are brought into effect in a turn: some 20 ms. Then every request that waits has its turn."""
POST_IDLE_S: Final = 0.2
WATCH_S: Final = 2.0
"""Between two looks whether the books were put back: what is decided meanwhile goes by books of yesterday."""
GIVE_BACK_S: Final = 2.0
"""Between two looks at what rails have to give back."""
HANDSHAKE_S: Final = 10.0
"""A peer that opens a connection and says nothing holds a descriptor for so long."""
FAREWELL_S: Final = 1.0
"""A lane that is silent does not answer TLS's goodbye, and a stopping server would wait half a minute for it."""
ANY_TIME: Final = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h), which Python's ``ssl`` does not name."""

log = logging.getLogger("counterfoil.backend")


class _Server(uvicorn.Server):
    """A server that ends by itself on SIGTERM or SIGINT, where uvicorn would kill the process with the same signal
    once more, before the database is closed."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        """Listen as uvicorn does, but give a TLS handshake less than its minute. Raises OSError."""
        config, loop = self.config, asyncio.get_running_loop()

        def connection() -> LaneProtocol:
            return LaneProtocol(config=config, server_state=self.server_state, app_state={})

        listening = await loop.create_server(
            connection, config.host, config.port, backlog=config.backlog, ssl=config.ssl,
            ssl_handshake_timeout=HANDSHAKE_S, ssl_shutdown_timeout=FAREWELL_S,
        )  # fmt: skip
        self.servers = [listening]
        self.started = True

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
    """TLS 1.3 with the server's certificate; client certificates are asked for, and if shown must be the CA's.

    One that has expired, or is not valid yet, is let through to the application.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(directory / "server.crt", directory / "server.key")
    context.load_verify_locations(directory / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ANY_TIME
    return context


async def serve(backend: Backend, directory: Path, host: str, port: int, *, refresh_s: float) -> None:
    """Answer until told to stop; snapshots are looked after every ``refresh_s`` seconds."""
    app = create_app(backend)
    hub: Hub = app.state.hub
    pace: Pace = app.state.pace
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=LaneProtocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        timeout_keep_alive=IDLE_S,
        ssl_context_factory=lambda _config, _default: tls_context(directory),
    )
    upkeep = asyncio.gather(
        _refresh(backend, hub, app.state.lane_came, refresh_s),
        _post(backend, hub, pace),
        _give_back(backend),
        _watch(backend),
    )
    try:
        await _Server(config, hub).serve()
    finally:
        upkeep.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await upkeep


async def _refresh(backend: Backend, hub: Hub, lane_came: asyncio.Event, refresh_s: float) -> None:
    """End what was not captured in time and cut layers, from time to time, and at once for a lane that has just been
    enrolled."""
    while True:
        lane_came.clear()
        try:
            backend.release_expired()
            for cut in backend.refreshing():
                if cut:
                    hub.wake()
                await asyncio.sleep(0)  # a lane's question waits for one layer, not for all
        except (*FAULTS, Contended) as error:
            log.error("snapshots were not refreshed: %s", type(error).__name__)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(lane_came.wait(), refresh_s)


async def _post(backend: Backend, hub: Hub, pace: Pace) -> None:
    """Bring into effect what uploads have left behind, a little at a time: a request waits for one turn at most."""
    while True:
        if wait_s := pace.wait_s():
            await asyncio.sleep(wait_s)
            continue
        posted = 0
        try:
            posted = backend.post_pending(POST_ENTRIES)
        except (*FAULTS, Contended) as error:
            log.error("entries were not posted: %s", type(error).__name__)
        pace.posted(posted)
        if posted + _granted(backend):
            hub.wake()
        await asyncio.sleep(0 if posted else POST_IDLE_S)


def _granted(backend: Backend) -> int:
    """One layer at most for a lane that asked for more; how many were cut. The next turn has the next one."""
    try:
        return next(backend.granting_more(), 0)
    except (*FAULTS, Contended) as error:
        log.error("nothing was granted to a lane that asked: %s", type(error).__name__)
        return 0


async def _give_back(backend: Backend) -> None:
    """Cancel and refund at the rails what lanes have decided against."""
    while True:
        try:
            await backend.wallets.tend()
        except (*FAULTS, Contended) as error:
            log.error("wallet payments were not given back: %s", type(error).__name__)
        await asyncio.sleep(GIVE_BACK_S)


async def _watch(backend: Backend) -> None:
    """Notice books that were put back under this server."""
    while True:
        try:
            if backend.notice_put_back():
                log.error(
                    "the database was put back to an earlier day: lanes are asked for what it forgot; see: restored"
                )
        except (*FAULTS, Contended) as error:
            log.error("the database was not looked at: %s", type(error).__name__)
        await asyncio.sleep(WATCH_S)
