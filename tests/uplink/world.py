"""What the uplink's tests are set in: a loop whose time jumps, a lane in memory, a backend that is told its faults."""

import asyncio
import json
import random
import selectors
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import zstandard

from agent.core.forwarding import Cursor, ForwardingRefused
from agent.uplink.backoff import Backoff
from agent.uplink.channel import Channel, Handler, memory_pair
from agent.uplink.client import BackendClient
from agent.uplink.lane_side import (
    DocumentKind,
    EntryResult,
    FoundLater,
    LaneReport,
    LayerFile,
    LenderState,
    LinkState,
    Upload,
)

Result = TypeVar("Result")
LENDER = "shoplend"
NOW_S = 1_800_000_000
URL = "https://backend.test"


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Does not wait: the time that the loop wants to wait has passed at once."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits and nothing will ever happen"
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-6  # after a simulated year, a float has no finer one

    def time(self) -> float:
        return self._jumping.now_s


def run(test: Coroutine[Any, Any, Result], *, timeout_s: float = 100_000) -> Result:
    """Run a test in virtual time; a test that hangs fails."""

    async def bounded() -> Result:
        async with asyncio.timeout(timeout_s):
            return await test

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(bounded())


def run_real(test: Coroutine[Any, Any, Result], within_s: float = 120) -> Result:
    """Run a test over real sockets; one that hangs fails."""

    async def bounded() -> Result:
        async with asyncio.timeout(within_s):
            return await test

    return asyncio.run(bounded())


def pace(cap_s: float = 60) -> Backoff:
    return Backoff(cap_s, random.Random(1))


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def channels(ours: Mapping[str, Handler], theirs: Mapping[str, Handler], **options: Any) -> tuple[Channel, Channel]:
    """Both ends of a channel in memory, not yet running."""
    a, b = memory_pair()
    return Channel(*a, ours, **options), Channel(*b, theirs, **options)


@contextmanager
def running(*serving: Coroutine[Any, Any, Any]) -> Iterator[list[asyncio.Task[Any]]]:
    """Let coroutines run beside the test, and end them with it."""
    tasks = [asyncio.get_running_loop().create_task(coroutine) for coroutine in serving]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()


async def until(condition: Callable[[], object], *, step_s: float = 0.01) -> None:
    """Look in virtual time, at most 20,000 times; real code waits for events."""
    for _ in range(20_000):
        if condition():
            return
        await asyncio.sleep(step_s)
    raise AssertionError("what the test waits for does not happen")


APPROVAL = {
    "approved": True,
    "response_code": "00",
    "reason": "approved",
    "rules": [],
    "policy_version": 3,
    "authorization_code": "A1B2C3",
    "amount": {"minor": 12800, "currency": "CNY"},
    "lease_used_minor": 0,
    "decided_at": "2027-01-15T08:00:00Z",
    "pending": False,
    "account": None,
}
REQUEST = {"lender": LENDER, "sale_id": "sale-0001", "attempt": 1, "amount": {"minor": 12800, "currency": "CNY"}}


def problem(status: int, kind: str, **fields: object) -> httpx.Response:
    body = {"type": f"urn:counterfoil:problem:{kind}", "title": kind, "status": status, **fields}
    return httpx.Response(status, content=json.dumps(body), headers={"Content-Type": "application/problem+json"})


Respond = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Transport(httpx.AsyncBaseTransport):
    """A network of one server."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return await self._respond(request)


def client_of(respond: Respond, transfer_timeout_s: float = 30) -> BackendClient:
    http = httpx.AsyncClient(base_url=URL, transport=Transport(respond), timeout=30)
    return BackendClient(http, transfer_timeout_s=transfer_timeout_s)


@dataclass
class Server:
    """A backend that ingests a journal exactly as the protocol says, behind a network that does what `faults` say.

    A fault is an exception raised before the request arrives ("lost"), one raised after it took effect ("unheard"), or
    an answer that takes the place of the true one.
    """

    stored: list[bytes] = field(default_factory=list)
    faults: list[tuple[str, Exception] | httpx.Response] = field(default_factory=list)
    always: tuple[str, Exception] | httpx.Response | None = None
    seen: list[tuple[str, str]] = field(default_factory=list)
    seen_at: list[float] = field(default_factory=list)
    answers: dict[tuple[str, str], httpx.Response | Callable[[httpx.Request], httpx.Response]] = field(
        default_factory=dict
    )

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append((request.method, request.url.path))
        self.seen_at.append(asyncio.get_running_loop().time())
        fault = self.faults.pop(0) if self.faults else self.always
        if isinstance(fault, httpx.Response):
            return fault
        if fault is not None and fault[0] == "lost":
            raise fault[1]
        response = self._true_answer(request)
        if fault is not None:
            raise fault[1]
        return response

    def _true_answer(self, request: httpx.Request) -> httpx.Response:
        told = self.answers.get((request.method, request.url.path))
        if told is not None:
            return (
                told(request)
                if callable(told)
                else httpx.Response(told.status_code, headers=told.headers, content=told.content)
            )
        if request.url.path == "/v1/journal":
            return self._ingest(json.loads(zstandard.decompress(request.content)))
        if request.url.path == "/v1/heartbeat":
            return httpx.Response(200, json={"time": b64(b"signed:" + unb64(json.loads(request.content)["nonce"]))})
        if request.url.path == "/v1/snapshot":
            return problem(404, "snapshot_none")
        if request.url.path == "/v1/events":
            return problem(404, "not_found")
        return httpx.Response(304)

    def _ingest(self, body: dict[str, Any]) -> httpx.Response:
        entries, first = [unb64(entry) for entry in body["entries"]], body["first"]
        if first > len(self.stored) + 1:
            return problem(409, "journal_gap", expected=len(self.stored) + 1)
        results = []
        for number, entry in enumerate(entries, first):
            if number <= len(self.stored):
                if self.stored[number - 1] != entry:
                    return problem(409, "journal_fork", expected=len(self.stored) + 1, head=b64(b"h" * 32))
                results.append({"number": number, "result": "duplicate"})
            else:
                self.stored.append(entry)
                results.append({"number": number, "result": "accepted"})
        return httpx.Response(200, json={"acknowledged_through": len(self.stored), "results": results})


@dataclass
class Lane:
    """`run`'s side: a journal in memory and a record of what it was told."""

    entries: list[bytes] = field(default_factory=list)
    cursor: Cursor = field(default_factory=Cursor)
    results: dict[int, list[str]] = field(default_factory=dict)
    forks: list[tuple[int, int | None, bytes | None]] = field(default_factory=list)
    links: list[tuple[LinkState, str]] = field(default_factory=list)
    times: list[tuple[bytes, bytes]] = field(default_factory=list)
    documents: list[tuple[DocumentKind, bytes]] = field(default_factory=list)
    snapshots: list[tuple[int, tuple[LayerFile, ...]]] = field(default_factory=list)
    standing: list[str | None] = field(default_factory=list)
    recalls: list[tuple[str, tuple[bytes, ...], str]] = field(default_factory=list)
    busy: set[bytes] = field(default_factory=set)
    found: list[FoundLater] = field(default_factory=list)
    exceptions_after: str | None = None
    layer_files: dict[int, str] = field(default_factory=dict)
    introductions: list[tuple[bytes, bytes]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    accepts: bool = True
    layers: tuple[int, ...] = ()
    root: bytes = b""
    keys: bytes = b""

    async def lenders(self) -> Sequence[LenderState]:
        return [LenderState(name, self.root, self.keys, self.layers, NOW_S) for name in (LENDER, *self.others)]

    async def next_upload(self, entries_max: int, bytes_max: int, *, older: bool = False) -> Upload | None:
        if older or self.forks:
            return None
        first = self.cursor.acknowledged_through + 1
        entries = tuple(self.entries[first - 1 : first - 1 + entries_max])
        if not entries:
            return None
        self.cursor = self.cursor.sent(first + len(entries) - 1)
        return Upload(1, first, entries, b"signature")

    async def acknowledged(self, epoch: int, through: int, results: Sequence[EntryResult]) -> None:
        self.cursor = self.cursor.acknowledged(through)
        for result in results:
            self.results.setdefault(result.number, []).append(result.result)

    async def rewind(self, epoch: int, expected: int) -> bool:
        try:
            self.cursor = self.cursor.rewound(expected)
        except ForwardingRefused:
            return False
        return True

    async def fork(self, epoch: int, expected: int | None, head: bytes | None) -> None:
        self.forks.append((epoch, expected, head))

    async def report(self, lender: str) -> LaneReport:
        depth = len(self.entries) - self.cursor.acknowledged_through
        return LaneReport(len(self.times).to_bytes(16, "big"), {"queue_depth": depth, "installed": {LENDER: 7}})

    async def introduced(self, introduction: bytes, keys: bytes) -> bool:
        self.introductions.append((introduction, keys))
        if self.accepts:
            self.others.append(introduction.decode())
        return self.accepts

    async def exceptions_cursor(self) -> str | None:
        return self.exceptions_after

    async def exceptions_found(self, found: Sequence[FoundLater], cursor: str) -> None:
        self.found += found
        self.exceptions_after = cursor

    async def layer_path(self, lender: str, sequence: int) -> str | None:
        return self.layer_files.get(sequence)

    async def signed_time(self, lender: str, nonce: bytes, data: bytes) -> bool:
        self.times.append((nonce, data))
        return self.accepts

    async def document(self, kind: DocumentKind, lender: str, data: bytes) -> bool:
        self.documents.append((kind, data))
        return self.accepts

    async def snapshot_ready(self, lender: str, sequence: int, layers: Sequence[LayerFile]) -> bool:
        self.snapshots.append((sequence, tuple(layers)))
        if self.accepts:
            self.layers = tuple(sorted({*self.layers, *(layer.sequence for layer in layers)}))
        return self.accepts

    async def recall(self, lender: str, accounts: Sequence[bytes], reason: str) -> Sequence[bytes]:
        self.recalls.append((lender, tuple(accounts), reason))
        return [account for account in accounts if account in self.busy]

    async def link(self, state: LinkState, detail: str) -> None:
        self.links.append((state, detail))

    async def access(self, refusal: str | None) -> None:
        self.standing.append(refusal)
