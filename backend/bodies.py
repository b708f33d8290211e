"""Bodies in and out: what every call of the lane protocol shares of HTTP.

The one rule: a body is bounded in size and in time before anybody looks at it.
"""

from __future__ import annotations

import asyncio
from typing import Final

import zstandard
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from backend.problems import Problem

BODY_BYTES_MAX: Final = 8 * 1024 * 1024
UPLOAD_BYTES_MAX: Final = 32 * 1024 * 1024  # decompressed
HEADER_BYTES_MAX: Final = 32 * 1024
LAYER_BYTES_MAX: Final = 64 * 1024 * 1024  # a lane's own leases; what a restored backend asks for again
REQUEST_S: Final = 30.0
"""How long a request may take to arrive."""


async def body(request: Request, *, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """The whole body. Raises Problem: too_large, too_slow, malformed."""
    try:
        async with asyncio.timeout(REQUEST_S):
            return await _body(request, bytes_max)
    except TimeoutError:
        raise Problem("too_slow", f"the body did not arrive within {REQUEST_S:g} s") from None
    except ClientDisconnect:
        raise Problem("malformed", "the connection was closed in the middle of the body") from None


async def _body(request: Request, bytes_max: int) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > bytes_max:
            raise Problem("too_large", f"at most {bytes_max} bytes")
    return bytes(data)


def decompressed(data: bytes, encoding: str | None) -> bytes:
    """The body behind Content-Encoding: none or zstd (RFC 8878), of bounded size whatever it claims."""
    if encoding is None:
        return data
    if encoding.lower() != "zstd":
        raise Problem("malformed", f"the content encoding {encoding[:20]} is not known here")
    try:
        with zstandard.ZstdDecompressor(max_window_size=BODY_BYTES_MAX).stream_reader(data) as reader:
            content = reader.read(UPLOAD_BYTES_MAX + 1)
    except zstandard.ZstdError:
        raise Problem("malformed", "the body is not readable zstd") from None
    if len(content) > UPLOAD_BYTES_MAX:
        raise Problem("too_large", f"at most {UPLOAD_BYTES_MAX} bytes")
    return content


def count_in_path(number: int) -> int:
    """A number in a path has no upper bound, a column has."""
    if number >= 2**53:
        raise Problem("not_found")
    return number


def json_answer(data: bytes) -> Response:
    return Response(data, media_type="application/json")


def versioned(request: Request, version: int, data: bytes, media_type: str) -> Response:
    """With its version as entity tag; 304 for whoever has it already (RFC 9110 section 13.1.2)."""
    tag = f'"{version}"'
    if tag in (part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers={"etag": tag})
    return Response(data, media_type=media_type, headers={"etag": tag})


def ranged(request: Request, data: bytes) -> Response:
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
