"""The line to the backend under test: TLS 1.3 pinned to its CA, with or without a certificate of a lane.

The one rule: every request gives an Exchange; what the network does instead is a Broken with the same particulars.
"""

from __future__ import annotations

import json
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx

from agent.conformance.exchange import Broken, Exchange, shown

TIMEOUT_S: Final = 30.0
CONNECTIONS_MAX: Final = 80  # more than the clients of the widest case
HEADER_SHOWN_MAX: Final = 120
_HIDDEN: Final = frozenset({"accept", "accept-encoding", "connection", "host", "user-agent", "content-length"})


def pinned(ca_pem: str) -> ssl.SSLContext:
    """TLS 1.3 that trusts one CA and checks the host name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=ca_pem)
    return context


def unverified() -> ssl.SSLContext:
    """For fetching the CA, which only a code's fingerprint makes true."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def with_certificate(context: ssl.SSLContext, certificate_pem: str, key_pem: str) -> ssl.SSLContext:
    """The context with a client certificate, which the library takes from files only."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(certificate_pem + key_pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context


class Line:
    """Requests to one backend as one peer. Safe to use by several threads at once."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self._http = httpx.Client(
            base_url=url,
            verify=context,
            timeout=TIMEOUT_S,
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
            headers={"Accept-Encoding": "identity", "User-Agent": "counterfoil-conformance"},
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **headers: str) -> Exchange:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: Mapping[str, Any] | bytes, **headers: str) -> Exchange:
        """``body`` as JSON, or the bytes as they are. An underscore in a header's name stands for a hyphen."""
        content = body if isinstance(body, bytes) else encode(body)
        return self.ask("POST", path, content=content, headers={"Content-Type": "application/json", **headers})

    def ask(
        self, method: str, path: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Exchange:
        named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        request = self._http.build_request(method, path, content=content, headers=named)
        sent = _told(request, content)
        try:
            response = self._http.send(request)
        except (httpx.HTTPError, OSError) as error:
            raise Broken("an answer", sent=sent, came=f"{type(error).__name__}: {error}") from error
        return Exchange(sent, response.status_code, response.headers, response.content)

    @contextmanager
    def stream(self, path: str, **headers: str) -> Iterator[httpx.Response]:
        """An answer that does not end by itself."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            with self._http.stream("GET", path, headers=named) as response:
                yield response
        except (httpx.HTTPError, OSError) as error:
            raise Broken("a stream", sent=f"GET {path}", came=f"{type(error).__name__}: {error}") from error


def encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _told(request: httpx.Request, content: bytes | None) -> str:
    told = {name: value[:HEADER_SHOWN_MAX] for name, value in request.headers.items() if name not in _HIDDEN}
    headers = " ".join(f"{name}: {value}" for name, value in told.items())
    target = request.url.raw_path.decode()
    return " ".join(filter(None, (request.method, target, headers, shown(content or b""))))
