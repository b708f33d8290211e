"""The server's side doors: the operators' socket in its directory, and the page on loopback.

The one rule: the socket has mode 0600 from its first moment, and answers only to the server's own user and root.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

SOCKET_NAME: Final = "admin.sock"
CONNECTIONS_MAX: Final = 32
LOOPBACK: Final = "127.0.0.1"
_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred of Linux: pid, uid, gid


class OwnUserProtocol(H11Protocol):
    """HTTP/1.1 that hangs up on a peer of another user, before a byte of it is read."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if _peer_uid(transport.get_extra_info("socket")) not in (0, os.geteuid()):
            transport.abort()


class _SideServer(uvicorn.Server):
    """A server that leaves signals to the main one."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def listening(*doors: tuple[Any, socket.socket]) -> AsyncIterator[None]:
    """Serve each application on its bound socket until the block ends."""
    servers = [_SideServer(_config(app, bound)) for app, bound in doors]
    tasks = [asyncio.create_task(server.serve([bound])) for server, (_app, bound) in zip(servers, doors, strict=True)]
    try:
        yield
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks, return_exceptions=True)
        for _app, bound in doors:
            bound.close()


def bind_admin(directory: Path) -> socket.socket:
    """The operators' socket of a backend's directory; one that a killed server left behind is replaced."""
    listener = socket.socket(socket.AF_UNIX)
    umask = os.umask(0o177)
    try:
        with short_path(directory) as path:
            Path(path).unlink(missing_ok=True)
            listener.bind(path)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(umask)
    return listener


def bind_loopback(port: int) -> socket.socket:
    """A TCP socket that nobody outside this machine reaches."""
    listener = socket.socket(socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def short_path(directory: Path) -> Iterator[str]:
    """The socket's path through an open directory: an address of AF_UNIX has at most 107 bytes (unix(7))."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET_NAME}"
    finally:
        os.close(handle)


def _config(app: Any, bound: socket.socket) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=OwnUserProtocol if bound.family == socket.AF_UNIX else H11Protocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=2,
    )


def _peer_uid(peer: Any) -> int:
    """User id of a connected peer, as the kernel knows it (socket(7), SO_PEERCRED)."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(credentials)[1]
    return uid
