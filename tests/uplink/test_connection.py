"""The connection to the backend over real sockets: who is talked to, and what broken servers amount to."""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.errors import NotEnrolled
from agent.uplink.client import BackendClient
from agent.uplink.connection import Timeouts, make_client
from agent.uplink.faults import BackendFault, NoAnswer, NotReached, Torn
from agent.uplink.identity import CA_FILE, CERTIFICATE_FILE
from backend.identity import Authority, LaneName, private_pem
from tests.uplink.world import APPROVAL, run_real

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
NOW_S = int(time.time())
AUTHORITY, OTHER = Authority.create(NOW_S), Authority.create(NOW_S)
BUDGET_S = 30.0
LITTLE_S = 2.0
"""The budget where nothing comes; a connection is made in less on any machine."""


def identity(directory: Path, authority: Authority = AUTHORITY, ca: Authority = AUTHORITY) -> Path:
    """A lane's identity directory, certified by `authority`, trusting `ca`."""
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    pem = csr.public_bytes(serialization.Encoding.PEM)
    certificate = authority.issue_lane(pem, LaneName("lane-1", "m1", "s1"), NOW_S)
    (directory / "tls").mkdir(exist_ok=True)
    (directory / CERTIFICATE_FILE).write_bytes(private_pem(key) + certificate)
    (directory / "ca.crt").write_bytes(ca.certificate_pem)
    return directory


def server_context(directory: Path, names: tuple[str, ...], version: ssl.TLSVersion) -> ssl.SSLContext:
    key, certificate = AUTHORITY.issue_server(names, NOW_S)
    (directory / "server.pem").write_bytes(key + certificate)
    (directory / "server-ca.crt").write_bytes(AUTHORITY.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    context.load_verify_locations(directory / "server-ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version
    return context


def answer(body: bytes, head: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body


GOOD = answer(json.dumps(APPROVAL).encode(), "Content-Type: application/json\r\n")


def writing(data: bytes, *, wait_s: float = 0) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(wait_s)
        writer.write(data)
        await writer.drain()

    return serve


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def goes_quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GOOD[:-20])
    await writer.drain()
    await asyncio.sleep(60)


def meet(  # what becomes of one call to a real server
    serve: Serve,
    directory: Path,
    *,
    lane: Path | None = None,
    names: tuple[str, ...] = ("127.0.0.1",),
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    budget_s: float = BUDGET_S,
) -> Any:
    async def test() -> Any:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await serve(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        context = server_context(directory, names, version)
        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        http = make_client(lane or identity(directory), f"https://127.0.0.1:{port}", Timeouts(BUDGET_S, BUDGET_S))
        async with server, http:
            try:
                return await BackendClient(http, transfer_timeout_s=BUDGET_S).authorize("key", b"{}", budget_s)
            except BackendFault as fault:
                return type(fault)

    return run_real(test())


SERVERS: dict[str, tuple[Serve, Any]] = {
    "good": (writing(GOOD), APPROVAL),
    "late": (writing(GOOD, wait_s=60), NoAnswer),
    "silent": (says_nothing, NoAnswer),
    "stops_in_the_middle": (goes_quiet, NoAnswer),
    "closes_in_the_middle": (writing(GOOD[:-20]), Torn),
    "closes_without_a_word": (writing(b""), Torn),
    "resets": (resets, Torn),
    "speaks_something_else": (writing(b"220 mail.test ESMTP\r\n"), Torn),
    "html": (writing(answer(b"<html>", "Content-Type: text/html\r\n")), NoAnswer),
    "endless_header": (writing(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), Torn),
    "bad_chunks": (writing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), Torn),
}

SILENT = [SERVERS[name][0] for name in ("late", "silent", "stops_in_the_middle")]


@pytest.mark.parametrize(("serve", "outcome"), SERVERS.values(), ids=SERVERS.keys())
def test_whatever_a_real_server_does_is_an_answer_or_a_fault(serve: Serve, outcome: Any, tmp_path: Path) -> None:
    assert meet(serve, tmp_path, budget_s=LITTLE_S if serve in SILENT else BUDGET_S) == outcome


def test_a_server_of_another_ca_gets_no_request(tmp_path: Path) -> None:
    assert meet(writing(GOOD), tmp_path, lane=identity(tmp_path, ca=OTHER)) is NotReached


def test_a_server_with_another_name_gets_no_request(tmp_path: Path) -> None:
    assert meet(writing(GOOD), tmp_path, names=("elsewhere.test",)) is NotReached


def test_a_server_that_offers_only_old_tls_gets_no_request(tmp_path: Path) -> None:
    assert meet(writing(GOOD), tmp_path, version=ssl.TLSVersion.TLSv1_2) is NotReached


def test_a_lane_whose_certificate_is_refused_gets_a_fault_and_not_a_crash(tmp_path: Path) -> None:
    assert issubclass(meet(writing(GOOD), tmp_path, lane=identity(tmp_path, OTHER)), NoAnswer)


def test_nobody_listening_means_nothing_sent(tmp_path: Path) -> None:
    async def test() -> None:
        async with make_client(identity(tmp_path), "https://127.0.0.1:1", Timeouts(1, 1)) as http:
            with pytest.raises(NotReached):
                await BackendClient(http, transfer_timeout_s=1).authorize("key", b"{}", BUDGET_S)

    run_real(test())


def test_a_proxy_of_the_environment_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert meet(writing(GOOD), tmp_path) == APPROVAL


@pytest.mark.parametrize("missing", [CERTIFICATE_FILE, CA_FILE])
@pytest.mark.parametrize("damage", [None, b"", b"garbage"])
def test_keys_that_are_missing_or_damaged_mean_not_enrolled(missing: str, damage: bytes | None, tmp_path: Path) -> None:
    path = identity(tmp_path) / missing
    path.unlink() if damage is None else path.write_bytes(damage)
    with pytest.raises(NotEnrolled):
        make_client(tmp_path, "https://127.0.0.1:1", Timeouts(1, 1))
