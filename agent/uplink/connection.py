"""The connection to the backend: mutual TLS 1.3 with the lane's certificate and the one CA that was pinned.

The one rule: whoever does not prove himself by the pinned CA is nobody; neither the system's CAs nor a proxy of the
environment count.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from agent.errors import NotEnrolled
from agent.uplink.identity import CA_FILE, CERTIFICATE_FILE, TLS_KEY_FILE

CONNECTIONS_MAX: Final = 8
KEEPALIVE_S: Final = 60.0
"""Longer than the pause between two heartbeats, so that a sale finds a connection that is already open; shorter than
the usual 75 s of servers, so that it does not find one that is just being closed."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect (a sale waits for this), and for each read or write of an upload or a download."""

    connect_s: float
    transfer_s: float


def make_client(
    identity_dir: Path, url: str, timeouts: Timeouts, *, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    """The HTTP client of this lane; `transport` replaces network and TLS. Raises NotEnrolled without usable keys."""
    return httpx.AsyncClient(
        base_url=url,
        verify=True if transport else tls_context(identity_dir),
        timeout=httpx.Timeout(timeouts.transfer_s, connect=timeouts.connect_s, pool=timeouts.connect_s),
        limits=httpx.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=KEEPALIVE_S,
        ),
        headers={"Accept-Encoding": "identity", "User-Agent": "counterfoil"},
        trust_env=False,
        transport=transport,
    )


def tls_context(identity_dir: Path) -> ssl.SSLContext:
    """TLS 1.3 with the lane's certificate. Raises NotEnrolled."""
    context = pinned_context(identity_dir / CA_FILE)
    try:
        context.load_cert_chain(identity_dir / CERTIFICATE_FILE, identity_dir / TLS_KEY_FILE)
    except OSError as error:  # ssl.SSLError is one
        raise NotEnrolled(f"The lane's certificate and key cannot be used: {error.strerror or error}") from error
    return context


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
