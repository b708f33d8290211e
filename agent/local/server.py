"""The local API on a Unix socket, in the daemon's own loop.

The one rule: the socket exists with its final mode from the first moment, and a stop answers what is in flight.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from agent.local import limits
from agent.unix_socket import bound

SOCKET_MODE = 0o660
"""Owner and group: the group is who may sell on this lane."""


class LocalServer(uvicorn.Server):
    """uvicorn without signal handlers of its own: the daemon decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True


def make_server(app: ASGIApp, path: Path) -> tuple[LocalServer, socket.socket]:
    """A server and its bound socket; run it with ``await server.serve([bound])``. Raises OSError."""
    config = uvicorn.Config(
        app,
        http=limits.Connection,
        backlog=limits.BACKLOG,
        h11_max_incomplete_event_size=limits.HEADER_BYTES_MAX,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        loop="asyncio",
        timeout_graceful_shutdown=5,
    )
    return LocalServer(config), bound(path, SOCKET_MODE)
