"""Online questions of `run`: authorize, inquire, refund for a sale, settle for a day, open_epoch for a restored lane.

The one rule: the reply says "not_sent" only if no byte of any try left this machine. It is [what, ...] with what one of
answer, not_sent, unknown, refused (read by remote.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from agent.core.cbor import Value
from agent.uplink.answers import encode_json, plain_fields
from agent.uplink.channel import Handler
from agent.uplink.client import BackendClient
from agent.uplink.faults import BackendFault, NoAnswer, NotReached, Refused, Torn
from agent.uplink.lane_calls import Misunderstood
from agent.uplink.link import Link

UNDECIDED: Final = frozenset({"idempotency_conflict"})
"""Refusals that leave open what became of the attempt: the backend has decided on it, but with another body."""

_LINK_DOWN: Final[Value] = ["not_sent", "The link to the backend is down."]


class Sales:
    """Handlers for the channel. `lane` is this lane's id, part of the idempotency key."""

    def __init__(self, client: BackendClient, link: Link, lane: str) -> None:
        self._client = client
        self._link = link
        self._lane = lane
        self.handlers: Mapping[str, Handler] = {
            "authorize": self.authorize,
            "inquire": self.inquire,
            "refund": self.refund,
            "settle": self.settle,
            "claim": self.claim,
            "open_epoch": self.open_epoch,
        }

    async def authorize(self, body: Value) -> Value:
        match body:
            case [int(budget_ms), dict(request)]:
                fields = {str(name): value for name, value in request.items()}
                key, content = self._key(fields), encode_json(fields)
                return await self._timed(budget_ms / 1000, lambda s: self._client.authorize(key, content, s))
        raise Misunderstood("authorize")

    async def inquire(self, body: Value) -> Value:
        match body:
            case [int(budget_ms), [str(lender), str(sale_id), int(attempt)]]:
                return await self._timed(budget_ms / 1000, lambda s: self._client.inquire(lender, sale_id, attempt, s))
        raise Misunderstood("inquire")

    async def refund(self, body: Value) -> Value:
        match body:
            case [int(budget_ms), dict(request)]:
                fields = {str(name): value for name, value in request.items()}
                key = "/".join(str(part) for part in (fields["lender"], self._lane, fields["request_id"]))
                content = encode_json(fields)
                return await self._timed(budget_ms / 1000, lambda s: self._client.refund(key, content, s))
        raise Misunderstood("refund")

    async def settle(self, body: Value) -> Value:
        """Not under the breaker: closing the day is worth a wait, and may be repeated."""
        match body:
            case [int(budget_ms), dict(request)]:
                fields = {str(name): value for name, value in request.items()}
                return await _outcome(self._client.settle(fields, budget_ms / 1000), self._link.untimed)
        raise Misunderstood("settle")

    async def open_epoch(self, body: Value) -> Value:
        """A person waits for it, and it may be repeated: not under the breaker either."""
        match body:
            case [int(budget_ms), dict(request)]:
                fields = {str(name): value for name, value in request.items()}
                return await _outcome(self._client.open_epoch(fields, budget_ms / 1000), self._link.untimed)
        raise Misunderstood("open_epoch")

    async def claim(self, body: Value) -> Value:
        """A slip's claim; the backend takes it once, so it may be repeated."""
        match body:
            case [int(budget_ms), str(text)]:
                return await _outcome(self._client.claim(text, budget_ms / 1000), self._link.untimed)
        raise Misunderstood("claim")

    def _key(self, request: Mapping[str, Value]) -> str:
        match request:
            case {"lender": str(lender), "sale_id": str(sale_id), "attempt": int(attempt)}:
                return f"{lender}/{self._lane}/{sale_id}/{attempt}"
        raise Misunderstood("authorize")

    async def _timed(self, budget_s: float, ask: Callable[[float], Awaitable[dict[str, Any]]]) -> Value:
        if not self._link.breaker.lets_sales_wait:
            return _LINK_DOWN
        return await _outcome(_again_if_torn(budget_s, ask), self._link.timed)


async def _again_if_torn(budget_s: float, ask: Callable[[float], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Ask; if the connection breaks (an idle one that the server closed just now), once more in what time is left."""
    ends = asyncio.get_running_loop().time() + budget_s
    try:
        return await ask(budget_s)
    except Torn:
        try:
            return await ask(max(0.0, ends - asyncio.get_running_loop().time()))
        except NotReached as fault:
            raise NoAnswer(fault.message) from fault  # the first try may have arrived


async def _outcome(asked: Awaitable[dict[str, Any]], note: Callable[[BackendFault | None], None]) -> Value:
    try:
        answer = await asked
    except BackendFault as fault:
        note(fault)
        return _reply(fault)
    note(None)
    return ["answer", plain_fields(answer)]


def _reply(fault: BackendFault) -> Value:
    match fault:
        case Refused() if fault.problem not in UNDECIDED:
            return ["refused", fault.problem, fault.message, plain_fields(fault.fields)]
        case NotReached():
            return ["not_sent", fault.message]
    return ["unknown", fault.message]
