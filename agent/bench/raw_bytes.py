"""What TLS and two processes cost alone: bodies go over, and an answer of the usual size comes back for each.

The one rule: same TLS, same certificates, same bytes, same number of connections, each waiting for its answer as a lane
does; no HTTP, no JSON, no database.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from agent.uplink.connection import tls_context
from backend.server import tls_context as server_context

ANSWER_BYTES: Final = 20_000
"""An answer names each of 500 entries."""


def raw_per_s(out: Path, bodies: Sequence[Sequence[bytes]]) -> float:
    """Bodies a second. ``out`` has the backend's certificate and an identity folder for each lane."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        server: Any = get_context("fork").Process(target=_serve, args=(listening, out / "backend"), daemon=True)
        server.start()
        try:
            identities = sorted(out.glob("lane-*"))
            return asyncio.run(_measure(port, identities, bodies))
        finally:
            server.kill()  # a forked child has taken over what a gentler signal does here
            server.join()


async def _measure(port: int, identities: Sequence[Path], bodies: Sequence[Sequence[bytes]]) -> float:
    ends = [
        await asyncio.open_connection("127.0.0.1", port, ssl=tls_context(identity), server_hostname="localhost")
        for identity in identities
    ]
    began = time.perf_counter()
    await asyncio.gather(*(_send(*end, queue) for end, queue in zip(ends, bodies, strict=True)))
    spent_s = time.perf_counter() - began
    for _, writer in ends:
        writer.close()
    return sum(map(len, bodies)) / spent_s


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bodies: Sequence[bytes]) -> None:
    for body in bodies:
        writer.write(len(body).to_bytes(4, "big") + body)
        await writer.drain()
        await reader.readexactly(ANSWER_BYTES)


def _serve(listening: socket.socket, directory: Path) -> None:
    context, answer = server_context(directory), bytes(ANSWER_BYTES)
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_answer, args=(connection, context, answer), daemon=True).start()


def _answer(plain: socket.socket, context: ssl.SSLContext, answer: bytes) -> None:
    with context.wrap_socket(plain, server_side=True) as line, line.makefile("rb") as reading:
        while head := reading.read(4):
            reading.read(int.from_bytes(head, "big"))
            line.sendall(answer)
