"""The lane protocol over HTTP. Thin: read, call, write.

The one rule: the lane is who its certificate says (``scope["counterfoil.lane"]``), never who a body says; and every
answer to a bad request is a problem document.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import zstandard
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from backend import snapshots
from backend.accounts import AccountContended
from backend.compose import Backend
from backend.database import FAULTS
from backend.holds import Attempt
from backend.identity import LaneName
from backend.ingest import Upload
from backend.problems import MEDIA_TYPE, Problem
from backend.schema import SnapshotLayer
from backend.wire import (
    AuthorizationRequest,
    Enrollment,
    Heartbeat,
    JournalUpload,
    SettlementRequest,
    b64url,
    from_b64url,
    read,
    write,
)

LANE_SCOPE: Final = "counterfoil.lane"
BODY_BYTES_MAX: Final = 8 * 1024 * 1024
UPLOAD_BYTES_MAX: Final = 32 * 1024 * 1024  # decompressed

Endpoint = Callable[[Request], Awaitable[Response]]
log = logging.getLogger("counterfoil.backend")


def create_app(backend: Backend) -> Starlette:
    """The ASGI application. Endpoints run on the event loop: one request is one transaction, and none interleaves."""
    calls = _Calls(backend)
    routes = [
        ("GET", "/v1/ca", calls.ca),
        ("POST", "/v1/enroll", calls.enroll),
        ("GET", "/v1/keys", calls.keys),
        ("GET", "/v1/policy", calls.policy),
        ("GET", "/v1/snapshot", calls.snapshot),
        ("GET", "/v1/snapshot/{lender}/{sequence:int}", calls.layer),
        ("POST", "/v1/heartbeat", calls.heartbeat),
        ("POST", "/v1/authorizations", calls.authorize),
        ("GET", "/v1/authorizations/{lender}/{sale_id}/{attempt:int}", calls.inquire),
        ("POST", "/v1/journal", calls.journal),
        ("POST", "/v1/settlements", calls.settle),
    ]
    return Starlette(
        routes=[Route(path, endpoint, methods=[method]) for method, path, endpoint in routes],
        exception_handlers={
            Problem: _problem,
            HTTPException: _http_problem,
            **dict.fromkeys((*FAULTS, AccountContended), _unavailable),
        },
    )


class _Calls:
    """One method per call of the protocol."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def ca(self, _request: Request) -> Response:
        return _json(write({"ca": self._backend.authority.certificate_pem.decode()}))

    async def enroll(self, request: Request) -> Response:
        return _json(self._backend.enroll(read(Enrollment, await _body(request))))

    async def keys(self, request: Request) -> Response:
        _lane(request)
        lender = self._backend.lender(request.query_params.get("lender", ""))
        return _versioned(request, lender.key_list.version, lender.key_list_bytes, "application/cose")

    async def policy(self, request: Request) -> Response:
        _lane(request)
        lender = self._backend.lender(request.query_params.get("lender", ""))
        return _versioned(request, lender.policy.version, lender.policy_bytes, "application/cose")

    async def snapshot(self, request: Request) -> Response:
        layers = self._backend.snapshot(request.query_params.get("lender", ""), _lane(request).lane)
        top = layers[-1].sequence
        body = write({"sequence": top, "layers": [_layer_to_wire(layer) for layer in layers]})
        return _versioned(request, top, body, "application/json")

    async def layer(self, request: Request) -> Response:
        lender, sequence = request.path_params["lender"], request.path_params["sequence"]
        data = snapshots.layer_bytes(_lane(request).lane, lender, _count(sequence))
        return _ranged(request, data)

    async def heartbeat(self, request: Request) -> Response:
        _lane(request)
        beat = read(Heartbeat, await _body(request))
        lender = self._backend.lender(beat.lender)
        return _json(write({"time": b64url(lender.sign_time(from_b64url(beat.nonce), self._backend.clock()))}))

    async def authorize(self, request: Request) -> Response:
        lane = _lane(request).lane
        raw = await _body(request)
        asked = read(AuthorizationRequest, raw)
        key = f"{asked.lender}/{lane}/{asked.sale_id}/{asked.attempt}"
        if request.headers.get("idempotency-key") != key:
            raise Problem("key_mismatch", f"expected {key}")
        return _json(self._backend.authorize(asked, raw, lane))

    async def inquire(self, request: Request) -> Response:
        path = request.path_params
        key = Attempt(_lane(request).lane, path["lender"], path["sale_id"], _count(path["attempt"]))
        return _json(self._backend.inquire(key))

    async def journal(self, request: Request) -> Response:
        lane = _lane(request).lane
        upload = read(JournalUpload, _decompressed(await _body(request), request.headers.get("content-encoding")))
        if upload.lane != lane:
            raise Problem("lane_mismatch", f"the certificate is of lane {lane}")
        entries = [from_b64url(entry) for entry in upload.entries]
        return _json(
            self._backend.ingest(Upload(lane, upload.epoch, upload.first, entries, from_b64url(upload.signature)))
        )

    async def settle(self, request: Request) -> Response:
        lane = _lane(request).lane
        return _json(self._backend.settle(read(SettlementRequest, await _body(request)), lane))


def _lane(request: Request) -> LaneName:
    lane: LaneName | None = request.scope.get(LANE_SCOPE)
    if lane is None:
        raise Problem("certificate_required")
    return lane


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise Problem("too_large", f"at most {BODY_BYTES_MAX} bytes")
    except ClientDisconnect:
        raise Problem("malformed", "the connection was closed in the middle of the body") from None
    return bytes(body)


def _decompressed(body: bytes, encoding: str | None) -> bytes:
    """The body behind Content-Encoding: none or zstd (RFC 8878), of bounded size whatever it claims."""
    if encoding is None:
        return body
    if encoding.lower() != "zstd":
        raise Problem("malformed", f"the content encoding {encoding[:20]} is not known here")
    try:
        with zstandard.ZstdDecompressor(max_window_size=BODY_BYTES_MAX).stream_reader(body) as reader:
            data = reader.read(UPLOAD_BYTES_MAX + 1)
    except zstandard.ZstdError:
        raise Problem("malformed", "the body is not readable zstd") from None
    if len(data) > UPLOAD_BYTES_MAX:
        raise Problem("too_large", f"at most {UPLOAD_BYTES_MAX} bytes")
    return data


def _count(number: int) -> int:
    """A number in a path has no upper bound, a column has."""
    if number >= 2**53:
        raise Problem("not_found")
    return number


def _layer_to_wire(layer: SnapshotLayer) -> dict[str, object]:
    return {
        "sequence": layer.sequence,
        "base": layer.sequence == layer.base_sequence,
        "size": layer.size,
        "sha256": bytes(layer.sha256).hex(),
        "url": f"/v1/snapshot/{layer.lender}/{layer.sequence}",
    }


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _versioned(request: Request, version: int, body: bytes, media_type: str) -> Response:
    """With its version as entity tag; 304 for whoever has it already (RFC 9110 section 13.1.2)."""
    tag = f'"{version}"'
    if tag in (part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers={"etag": tag})
    return Response(body, media_type=media_type, headers={"etag": tag})


def _ranged(request: Request, data: bytes) -> Response:
    """The bytes, or those from a position on: ``Range: bytes=N-`` or ``N-M`` (RFC 9110 section 14.2)."""
    headers = {"accept-ranges": "bytes"}
    unit, _, span = request.headers.get("range", "").partition("=")
    first, dash, last = span.partition("-")
    if unit != "bytes" or not dash or not _is_decimal(first) or not (last == "" or _is_decimal(last)):
        return Response(data, media_type="application/octet-stream", headers=headers)
    start, end = int(first), min(int(last) if last else len(data), len(data) - 1)
    if start >= len(data) or end < start:
        raise Problem("range", f"the file has {len(data)} bytes")
    headers["content-range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(data[start : end + 1], 206, media_type="application/octet-stream", headers=headers)


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 15


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return Response(error.document(), error.http_status, media_type=MEDIA_TYPE)


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = {404: "not_found", 405: "method_not_allowed"}
    return await _problem(request, Problem(known.get(error.status_code, "malformed")))


async def _unavailable(request: Request, error: Exception) -> Response:
    """The database failed or was busy: whether the request took effect is unknown here, and a retry will tell."""
    log.error("database: %s", type(error).__name__)
    return await _problem(request, Problem("unavailable"))
