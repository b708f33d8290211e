"""The line to the backend, one step after the other: name, port, TLS with the lane's certificate, signed time.

The one rule: each step is really made, with the very certificate and CA that sales use, and the first that fails is
told in words that say which end has to mend it.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from agent.core import cbor, cose, trust
from agent.diagnosis.case import Case
from agent.diagnosis.examination import Finding, failed, ok, warning
from agent.errors import CounterfoilError, NotEnrolled
from agent.services.timekeeping import NONCE_BYTES, signed_time_of
from agent.uplink.client import BackendClient
from agent.uplink.connection import Timeouts, make_client, tls_context
from agent.uplink.identity import Enrolled, EnrolledLender

STEP_S: Final = 5.0
OFFSET_MAX_S: Final = 30
PORT: Final = 443
NETWORK: Final = "Check cable, Wi-Fi and router of the shop, then `backend.url` in the configuration."

TLS_FAULTS: Final = (
    (r"certificate has expired|not yet valid", "The backend's certificate is not valid on this computer's date.",
     "Check this computer's clock first; if it is right, the backend team must renew the certificate."),
    (r"[Hh]ostname mismatch|doesn't match|IP address mismatch", "The server's certificate is for another name.",
     "Correct `backend.url`; if it is right, the backend team must add this name to the certificate."),
    (r"unable to get local issuer|self.signed|certificate verify failed",
     "The server is not the one that enrolled this lane.",
     "Correct `backend.url`; if it is right, something in between (a proxy, a guest Wi-Fi) answers in its place."),
    (r"certificate (required|revoked|expired|unknown)|bad certificate|unknown ca|access denied|handshake failure",
     "The backend refuses this lane's certificate.",
     "Ask the backend team whether this lane was revoked; else check its expiry above and enroll again."),
    (r"protocol version|unsupported protocol|no protocols", "The server does not speak TLS 1.3.",
     "Something old stands in between (a proxy), or the address is another server's."),
    (r"wrong version number|record layer failure|http request", "What answers there does not speak TLS.",
     "Correct the port in `backend.url`."),
)  # fmt: skip
"""What OpenSSL says, what it means here, and who mends it; the first that fits counts."""


def name(case: Case) -> Iterator[Finding]:
    host, port = _place(case)
    try:
        found = {row[4][0] for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        yield failed(f"{host} is not found", f"The name server says: {error.strerror}.", NETWORK)
        return
    yield ok(f"{host} is {', '.join(sorted(map(str, found))[:3])}")


def port(case: Case) -> Iterator[Finding]:
    host, port_number = _place(case)
    began = time.monotonic()
    try:
        socket.create_connection((host, port_number), STEP_S).close()
    except TimeoutError:
        yield failed(f"no answer from {host}:{port_number}", "Packets get lost, or a firewall drops them.", NETWORK)
        return
    except OSError as error:
        cause = f"Nothing listens there: {error.strerror}."
        yield failed(f"{host}:{port_number} refuses", cause, f"Ask whether the backend is up. {NETWORK}")
        return
    yield ok(f"{host}:{port_number} answers in {(time.monotonic() - began) * 1000:.0f} ms")


def tls(case: Case) -> Iterator[Finding]:
    host, port_number = _place(case)
    try:
        version = _handshake(host, port_number, tls_context(case.identity_dir))
    except NotEnrolled as error:
        yield failed("no certificate to show", error.message, error.hint)
    except TimeoutError:
        cause = "The connection stands, but nobody speaks."
        yield failed("no answer", cause, "Restart the shop's router; then ask the backend team.")
    except OSError as error:
        cause, remedy = _explained(error)
        yield failed("no secure connection", cause, remedy)
    else:
        yield ok(f"{version}, the backend took this lane's certificate")


def _handshake(host: str, port_number: int, context: ssl.SSLContext) -> str:
    """TLS version. A server tells that it refuses a certificate only after the handshake (RFC 8446 section 4.4.2), so
    a request is made too. Raises OSError."""
    with (
        socket.create_connection((host, port_number), STEP_S) as plain,
        context.wrap_socket(plain, server_hostname=host) as line,
    ):
        if not _first_byte(line, host):
            raise ssl.SSLError("certificate unknown")
        return line.version() or "TLS"


def _first_byte(line: ssl.SSLSocket, host: str) -> bytes:
    """Of the answer; empty when the server hangs up without a word, or before its alert could be read."""
    try:
        line.sendall(f"GET /v1/ca HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return line.recv(1)
    except (ssl.SSLEOFError, ConnectionResetError, BrokenPipeError):
        return b""


def _explained(error: OSError) -> tuple[str, str]:
    said = str(error).replace("_", " ")
    for pattern, cause, remedy in TLS_FAULTS:
        if re.search(pattern, said, re.IGNORECASE):
            return cause, remedy
    return f"The connection broke: {error.strerror or said}.", "Try again; then ask the backend team for its log."


def signed_time(case: Case) -> Iterator[Finding]:
    """Each lender's time, asked now, signed by a key of its list."""
    try:
        found = asyncio.run(_times(case))
    except CounterfoilError as error:
        yield failed("not told", error.message, "Ask the backend team: this lane is connected, but not served.")
        return
    for lender, now_s in found.items():
        if now_s is None:
            cause = "The answer is not signed by the lender, or answers another question."
            yield failed(f"{lender}: not believed", cause, "Tell the backend team at once; the lane does not use it.")
            continue
        offset_s = now_s - int(time.time())
        said = f"{lender}: this computer's clock is {_offset(offset_s)}"
        if abs(offset_s) > OFFSET_MAX_S:
            yield warning(said, "The lane corrects for it while it is online; offline it must rely on its clock.",
                          "Set it: timedatectl set-ntp true")  # fmt: skip
        else:
            yield ok(said)


async def _times(case: Case) -> dict[str, int | None]:
    """Raises BackendFault and NotEnrolled."""
    enrolled: Enrolled = case.enrolled
    async with make_client(case.identity_dir, case.config.backend.url, Timeouts(STEP_S, STEP_S)) as http:
        client = BackendClient(http, transfer_timeout_s=STEP_S)
        return {lender.lender: await _time(client, lender) for lender in enrolled.lenders}


async def _time(client: BackendClient, lender: EnrolledLender) -> int | None:
    nonce = os.urandom(NONCE_BYTES)
    newest = await client.document("keys", lender.lender, None)
    data = (await client.heartbeat(lender.lender, nonce, {}, STEP_S)).time
    try:
        root = cose.PublicKey.from_cose_key(cbor.decode(lender.root))
        keys = trust.verify_key_list(newest.content if newest else lender.keys, root, version_min=1)
    except (cbor.CborError, cose.CoseError, trust.TrustError):
        return None
    return signed_time_of(lender.lender, nonce, data, keys)


def _offset(offset_s: int) -> str:
    if abs(offset_s) <= 1:
        return "right"
    return f"{abs(offset_s)} s {'behind' if offset_s > 0 else 'ahead'}"


def _place(case: Case) -> tuple[str, int]:
    parts = urlsplit(case.config.backend.url)
    return parts.hostname or "", parts.port or PORT
