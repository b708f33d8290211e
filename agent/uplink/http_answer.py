"""From what httpx brings to a checked answer, or to the fault that it means.

The one rule: only a problem document is the backend's word. An HTML page, a torn body, a redirect or a bare status is
somebody else talking, and means that nobody knows what became of the request.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from agent.uplink.answers import Shapeless
from agent.uplink.faults import BackendFault, Busy, NoAnswer, NotReached, Refused, Retry, Torn, retry_of

PROBLEM_PREFIX: Final = "urn:counterfoil:problem:"
LIBRARY_FAULTS: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict, OSError)
FAULT_OF: Final[Mapping[type[Exception], type[BackendFault]]] = {
    httpx.ConnectError: NotReached,  # also: the server's certificate is not one of the pinned CA
    httpx.ConnectTimeout: NotReached,
    httpx.PoolTimeout: NotReached,
    httpx.ProxyError: NotReached,
    httpx.UnsupportedProtocol: NotReached,
    httpx.InvalidURL: NotReached,
    httpx.ReadError: Torn,  # also: the server refuses the lane's certificate (TLS 1.3 tells it after the handshake)
    httpx.WriteError: Torn,
    httpx.CloseError: Torn,
    httpx.RemoteProtocolError: Torn,
}
"""The nearest class counts; all others, those of later versions too, are NoAnswer, the cautious word."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, headers, body."""

    status: int
    headers: httpx.Headers
    content: bytes


def fault_of(error: Exception) -> BackendFault:
    """The fault that an exception of the library means."""
    fault = next((FAULT_OF[kind] for kind in type(error).__mro__ if kind in FAULT_OF), NoAnswer)
    return fault(f"{type(error).__name__}: {str(error)[:200]}")


async def bounded(response: httpx.Response, bytes_max: int) -> bytes:
    """The body. Raises NoAnswer if it is larger than `bytes_max`, or compressed, which nobody asked for."""
    plain(response)
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > bytes_max:
            raise NoAnswer(f"The answer is larger than {bytes_max} bytes.")
    return bytes(content)


def plain(response: httpx.Response) -> None:
    """Raises NoAnswer for a compressed body: a small one could unpack to gigabytes before anybody counts."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise NoAnswer("The answer is compressed, which was not asked for.")


def checked(answer: Answer, check: Callable[[object], dict[str, Any]]) -> dict[str, Any]:
    """The fields of a good answer. Raises NoAnswer when it is not JSON of the agreed shape."""
    try:
        return check(_json(answer))
    except Shapeless as error:
        raise NoAnswer(f"The backend's answer cannot be used: {error}.") from error


def refusal(answer: Answer) -> BackendFault:
    """What a status other than success means: Refused, Busy or NoAnswer."""
    said = _problem(answer)
    match retry_of(answer.status):
        case Retry.PAUSED:
            kind = said.problem if said else None
            return Busy(f"The backend is busy (HTTP {answer.status}).", _retry_after_s(answer), kind)
        case Retry.NEVER if said:
            return said
    return NoAnswer(f"The backend answered with HTTP {answer.status}.")


def media_type(answer: Answer | httpx.Response) -> str:
    content_type: str = answer.headers.get("Content-Type", "")
    return content_type.partition(";")[0].strip().lower()


def _problem(answer: Answer) -> Refused | None:
    """The problem document, if there is one and it is the backend's."""
    if media_type(answer) != "application/problem+json":
        return None
    try:
        problem = _json(answer)
    except Shapeless:
        return None
    kind = problem.get("type") if isinstance(problem, dict) else None
    if not isinstance(kind, str) or not kind.startswith(PROBLEM_PREFIX):
        return None
    text = problem.get("detail") or problem.get("title") or kind
    others = {name: value for name, value in problem.items() if name not in ("type", "title", "status", "detail")}
    return Refused(kind.removeprefix(PROBLEM_PREFIX)[:64], str(text)[:500], others)


def _json(answer: Answer) -> Any:
    """The body as JSON; numbers that are not integers come as text, because no float may get near money."""
    try:
        return json.loads(answer.content, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise Shapeless("it is not JSON") from error


def _retry_after_s(answer: Answer) -> int | None:
    """The pause in seconds; the other form, a date, would need a clock that is right."""
    value = answer.headers.get("Retry-After", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
