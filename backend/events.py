"""Push: what a lane should have by now, told over one long answer (server-sent events) or over a long poll.

The one rule: an event is read off the tables, never kept. The cursor says what its lane was told, so any process over
the same database goes on where another one ended, and nothing is missed in between.

Server-sent events: WHATWG HTML Living Standard, section 9.2. One look at the tables a second serves every lane of this
process; a lane that waits costs one small object, and no thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from backend.database import FAULTS
from backend.problems import Problem
from backend.wire import b64url, from_b64url, write

LOOK_S: Final = 1.0
APART_S: Final = 0.1
"""Two looks are at least so far apart, however often somebody writes."""

COMMENT_S: Final = 15.0
"""A line that stays silent longer is dead, or a proxy holds it back."""

WAIT_S_MAX: Final = 25
RECALLED_MAX: Final = 500
"""Accounts in one event, so that an event stays below 20 KiB."""

CURSOR_CHARACTERS_MAX: Final = 4096

EVENT_STREAM: Final = "text/event-stream"
_UNBUFFERED: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}

Version: TypeAlias = int | str
Told: TypeAlias = Mapping[str, Version]
log = logging.getLogger("counterfoil.backend")


@dataclass(frozen=True, slots=True)
class Fact:
    """What a lane should know: ``topic`` is what the cursor remembers it by, ``version`` what changes with it."""

    topic: str
    version: Version
    kind: str
    data: Mapping[str, Any]

    @property
    def is_last(self) -> bool:
        """Nothing is told to a lane after it heard that it is revoked."""
        return self.kind == "revoked"


@dataclass(frozen=True, slots=True)
class Recalled:
    """One open recall; ``account`` None is all of them."""

    lender: str
    number: int
    account: bytes | None
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """All that a lane should know now. ``recalls`` come in the order of their numbers."""

    facts: tuple[Fact, ...] = ()
    recalls: tuple[Recalled, ...] = ()


Look: TypeAlias = Callable[[Collection[str]], Mapping[str, State]]


def news(state: State, told: Told) -> Iterator[Fact]:
    """What a lane that was told ``told`` does not know yet; without a cursor that is everything."""
    yield from (fact for fact in state.facts if told.get(fact.topic) != fact.version)
    for lender in dict.fromkeys(recalled.lender for recalled in state.recalls):
        known = told.get(f"recall/{lender}", 0)
        since = known if isinstance(known, int) else 0
        fresh = [item for item in state.recalls if item.lender == lender and item.number > since]
        yield from (_recall(fresh[at : at + RECALLED_MAX]) for at in range(0, len(fresh), RECALLED_MAX))


def _recall(items: list[Recalled]) -> Fact:
    newest = items[-1]
    accounts = [item.account.hex() for item in items if item.account is not None]
    asked = accounts if len(accounts) == len(items) else None
    data = {"lender": newest.lender, "accounts": asked, "reason": newest.reason}
    return Fact(f"recall/{newest.lender}", newest.number, "recall", data)


def cursor_of(told: Told) -> str:
    return b64url(json.dumps(told, separators=(",", ":"), sort_keys=True).encode())


def read_cursor(text: str | None) -> dict[str, Version]:
    """What a cursor remembers; one that this version does not understand remembers nothing, and everything is told."""
    if not text or len(text) > CURSOR_CHARACTERS_MAX:
        return {}
    try:
        told = json.loads(from_b64url(text))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    return {topic: version for topic, version in told.items() if type(version) in (int, str)}


@dataclass(eq=False, slots=True)
class Listener:
    """A lane that listens. ``changed`` is set when there may be news, or when it is over."""

    lane: str
    state: State
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False

    def end(self) -> None:
        self.is_over = True
        self.changed.set()


class Hub:
    """Everybody who listens at this process. Looks at the tables only while somebody does."""

    def __init__(self, look: Look, *, look_s: float = LOOK_S) -> None:
        self._look, self._look_s = look, look_s
        self._listeners: dict[str, Listener] = {}
        self._wake: asyncio.Event | None = None
        self._looking: asyncio.Task[None] | None = None
        self._is_closed = False

    @contextlib.contextmanager
    def listening(self, lane: str) -> Iterator[Listener]:
        """Listen for as long as the block runs. One place a lane: whoever listened for it before is over."""
        listener = Listener(lane, self._look([lane]).get(lane, State()))
        if (before := self._listeners.pop(lane, None)) is not None:
            before.end()
        self._listeners[lane] = listener
        if self._is_closed:
            listener.end()
        elif self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._keep_looking())
        try:
            yield listener
        finally:
            if self._listeners.get(lane) is listener:
                del self._listeners[lane]

    def wake(self) -> None:
        """Something was just written in this process: look now."""
        if self._wake is not None:
            self._wake.set()

    def close(self) -> None:
        """End every answer: the server stops."""
        self._is_closed = True
        self.wake()
        for listener in self._listeners.values():
            listener.end()

    async def _keep_looking(self) -> None:
        wake = self._wake = asyncio.Event()
        while self._listeners:
            await _happens(wake, self._look_s)
            if self._is_closed:
                return
            wake.clear()
            try:
                found = self._look(tuple(self._listeners))
            except FAULTS as error:
                log.error("no look for events: %s", type(error).__name__)
                continue
            self._tell(found)
            await asyncio.sleep(APART_S)

    def _tell(self, found: Mapping[str, State]) -> None:
        for lane, listener in self._listeners.items():
            state = found.get(lane, State())
            if state != listener.state:
                listener.state = state
                listener.changed.set()


async def answer(hub: Hub, request: Request, lane: str) -> Response:
    """GET /v1/events, as a stream for who accepts one and else as a long poll. Raises Problem("malformed")."""
    told = read_cursor(request.headers.get("last-event-id") or request.query_params.get("after"))
    if EVENT_STREAM in request.headers.get("accept", ""):
        return StreamingResponse(stream(hub, lane, told), media_type=EVENT_STREAM, headers=_UNBUFFERED)
    wait_s = request.query_params.get("wait_s", "0")
    if not (wait_s.isascii() and wait_s.isdecimal() and len(wait_s) < 3 and int(wait_s) <= WAIT_S_MAX):
        raise Problem("malformed", f"wait_s: 0 to {WAIT_S_MAX} seconds")
    return Response(write(await poll(hub, lane, told, int(wait_s))), media_type="application/json")


async def stream(hub: Hub, lane: str, told: Told, *, comment_s: float = COMMENT_S) -> AsyncIterator[bytes]:
    """The body of a ``text/event-stream``. A comment comes at once, so that a proxy that holds it back shows."""
    yield b":\n\n"
    known = dict(told)
    with hub.listening(lane) as listener:
        while not listener.is_over:
            listener.changed.clear()
            for fact in news(listener.state, known):
                known[fact.topic] = fact.version
                yield _frame(fact, known)
                if fact.is_last:
                    return
            if not await _happens(listener.changed, comment_s):
                yield b":\n\n"


async def poll(hub: Hub, lane: str, told: Told, wait_s: float) -> dict[str, Any]:
    """The answer to a long poll: at once if there is news, else as soon as there is, at the latest after ``wait_s``."""
    known, found = dict(told), list[dict[str, Any]]()
    with hub.listening(lane) as listener:
        if not any(True for _ in news(listener.state, told)):
            await _happens(listener.changed, wait_s)
        for fact in news(listener.state, told):
            known[fact.topic] = fact.version
            found.append({"id": cursor_of(known), "type": fact.kind, "data": dict(fact.data)})
    return {"events": found, "cursor": cursor_of(known)}


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _frame(fact: Fact, known: Told) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (cursor_of(known).encode(), fact.kind.encode(), write(dict(fact.data)))
