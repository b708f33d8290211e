"""The local API on a Unix socket, and on loopback HTTP where it is asked for, in the daemon's own loop.

The one rule: the socket exists with its final mode from the first moment, and a stop answers what is in flight.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from agent.local import limits
from agent.unix_socket import bound

LOG: Final = logging.getLogger(__name__)
SOCKET_MODE: Final = 0o660
"""Owner and group: the group is who may sell on this lane."""


class LocalServer(uvicorn.Server):
    """uvicorn without signal handlers of its own: the daemon decides when to stop. ``http_fault``: why there is no HTTP
    though it is asked for, else ""."""

    http_fault = ""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True


def make_server(app: ASGIApp, path: Path, *, port: int = 0) -> tuple[LocalServer, list[socket.socket]]:
    """A server and its bound sockets, the one of loopback HTTP only with a ``port``; run it with
    ``await server.serve(bound)``. Raises OSError."""
    config = uvicorn.Config(
        app,
        http=limits.Connection,
        backlog=limits.BACKLOG,
        h11_max_incomplete_event_size=limits.HEADER_BYTES_MAX,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nobody is believed who says that he asks for somebody else
        server_header=False,
        lifespan="off",
        ws="none",
        loop="asyncio",
        timeout_graceful_shutdown=5,
    )
    server, sockets = LocalServer(config), [bound(path, SOCKET_MODE)]
    if port:
        try:
            sockets.append(socket.create_server(("127.0.0.1", port), backlog=limits.BACKLOG))
        except OSError as error:  # the lane sells over its Unix socket, and `status` says what is wrong
            server.http_fault = f"port {port}: {os.strerror(error.errno or errno.EADDRINUSE).lower()}"
            LOG.error("no HTTP on this computer: %s", server.http_fault)
    return server, sockets
