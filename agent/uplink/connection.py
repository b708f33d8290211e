"""The connection to the backend: mutual TLS 1.3 with the lane's certificate and the one CA that was pinned.

The one rule: whoever does not prove himself by the pinned CA is nobody; neither the system's CAs nor a proxy of the
environment count.
"""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from agent.errors import NotEnrolled
from agent.uplink.identity import CA_FILE, CERTIFICATE_FILE

CONNECTIONS_MAX: Final = 8
KEEPALIVE_S: Final = 60.0
"""Longer than the pause between two heartbeats, so that a sale finds a connection that is already open; shorter than
the usual 75 s of servers, so that it does not find one that is just being closed."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect (a sale waits for this), and for each read or write of an upload or a download."""

    connect_s: float
    transfer_s: float


class Line:
    """The HTTP client of this lane, and how a new certificate comes into use without a call being lost.

    Raises NotEnrolled without usable keys.
    """

    def __init__(self, identity_dir: Path, url: str, timeouts: Timeouts) -> None:
        self.identity_dir = identity_dir
        self._context = tls_context(identity_dir)
        self.http = _client(url, timeouts, self._context)

    async def take_new_certificate(self) -> None:
        """New connections show the certificate that is on the disk now. Open ones still show the old one: for as long
        as an idle one is kept, each ends with its next answer. Raises NotEnrolled."""
        _show_certificate(self._context, self.identity_dir)
        self.http.headers["Connection"] = "close"
        try:
            await asyncio.sleep(KEEPALIVE_S)
        finally:
            self.http.headers["Connection"] = "keep-alive"


def make_client(identity_dir: Path, url: str, timeouts: Timeouts) -> httpx.AsyncClient:
    """The HTTP client of this lane, for a few calls. Raises NotEnrolled without usable keys."""
    return Line(identity_dir, url, timeouts).http


def _client(url: str, timeouts: Timeouts, context: ssl.SSLContext) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=url,
        verify=context,
        timeout=httpx.Timeout(timeouts.transfer_s, connect=timeouts.connect_s, pool=timeouts.connect_s),
        limits=httpx.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=KEEPALIVE_S,
        ),
        headers={"Accept-Encoding": "identity", "User-Agent": "counterfoil"},
        trust_env=False,
    )


def tls_context(identity_dir: Path) -> ssl.SSLContext:
    """TLS 1.3 with the lane's certificate. Raises NotEnrolled."""
    context = pinned_context(identity_dir / CA_FILE)
    _show_certificate(context, identity_dir)
    return context


def _show_certificate(context: ssl.SSLContext, identity_dir: Path) -> None:
    try:
        context.load_cert_chain(identity_dir / CERTIFICATE_FILE)
    except OSError as error:  # ssl.SSLError is one
        raise NotEnrolled(f"The lane's certificate and key cannot be used: {error.strerror or error}") from error


def pinned_context(ca: Path | str) -> ssl.SSLContext:
    """TLS 1.3 that trusts one CA, given as a file or as PEM text, and checks the host name. Raises NotEnrolled."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        if isinstance(ca, Path):
            context.load_verify_locations(cafile=ca)
        else:
            context.load_verify_locations(cadata=ca)
    except OSError as error:
        raise NotEnrolled(f"The backend's CA certificate cannot be used: {error.strerror or error}") from error
    return context
