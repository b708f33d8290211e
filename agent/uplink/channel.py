"""The private channel between `run` and `uplink`: calls in both directions over one stream.

The one rule: whoever called knows what it means when no reply comes. `UplinkUnavailable`: nothing left.
`NoReply`: it left, and the outcome is unknown. A peer that speaks anything else than this protocol is cut off.

A message is its length (u32, big-endian) and deterministic CBOR: a call [id, kind, body], a reply [id, true, body] or
[id, false, [code, message]], a notice [0, kind, body] that is never answered. The CBOR decoder is pure Python: send
large byte strings rather than large structures.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple, Protocol, TypeAlias

from agent.core import cbor
from agent.core.cbor import Value
from agent.errors import CounterfoilError, UplinkError, UplinkUnavailable

MESSAGE_BYTES_MAX: Final = 8 << 20
IN_FLIGHT_MAX: Final = 64  # calls waiting for a reply, in each direction
NOTICE: Final = 0

Handler: TypeAlias = Callable[[Value], Awaitable[Value]]
_log = logging.getLogger(__name__)


class NoReply(UplinkError):
    """The other process got the request but gave no reply; what became of it is unknown."""

    code = "uplink_no_reply"


class CallFailed(UplinkError):
    """The other process could not do what it was asked; `reason` is the code that it gives."""

    code = "uplink_call_failed"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason


class Reader(Protocol):
    """What is needed of an asyncio.StreamReader."""

    async def readexactly(self, n: int, /) -> bytes: ...


class Writer(Protocol):
    """What is needed of an asyncio.StreamWriter."""

    def write(self, data: bytes, /) -> None: ...

    async def drain(self) -> None: ...

    def close(self) -> None: ...


class _Garbage(Exception):
    """The peer sent what is no message; the text says why, without its content."""


class Channel:
    """One end of the channel. `run()` must be running for calls to be answered, in both directions."""

    def __init__(
        self,
        reader: Reader,
        writer: Writer,
        handlers: Mapping[str, Handler],
        *,
        read_bytes_max: int = MESSAGE_BYTES_MAX,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handlers = handlers
        self._read_bytes_max = read_bytes_max
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[Value]] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self.closed = False

    async def call(self, kind: str, body: Value, timeout_s: float) -> Value:
        """The peer's reply. Raises UplinkUnavailable (nothing left), NoReply, CallFailed (the peer's handler failed).

        A body outside the profile of core/cbor.py is a bug of the caller, and CborError.
        """
        if self.closed:
            raise UplinkUnavailable("The channel between the two processes is closed.")
        if len(self._waiting) >= IN_FLIGHT_MAX:
            raise UplinkUnavailable(f"{IN_FLIGHT_MAX} calls are waiting already.")
        number = self._last_id + 1
        data = _frame([number, kind, body])
        self._last_id = number
        reply: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        reply.add_done_callback(_seen)
        try:
            async with asyncio.timeout(timeout_s):
                await self._write(data)
                return await reply
        except TimeoutError:
            raise NoReply(f"No reply to {kind} within {timeout_s:g} s.") from None
        finally:
            del self._waiting[number]

    def tell(self, kind: str, body: Value = None) -> None:
        """Send a notice without waiting; on a closed channel nothing happens."""
        if not self.closed:
            self._writer.write(_frame([NOTICE, kind, body]))

    async def run(self) -> None:
        """Serve until the peer is gone or cut off; then every waiting call ends with NoReply."""
        try:
            while True:
                self._take(await self._read())
        except (asyncio.IncompleteReadError, OSError):
            pass
        except _Garbage as error:
            _log.warning("channel closed: %s", error)
        finally:
            self.close()

    def close(self) -> None:
        """End the channel from this side, and whatever was being done for the peer."""
        self.closed = True
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(NoReply("The other process went away before it replied."))
        for task in self._serving:
            task.cancel()
        self._writer.close()

    async def _read(self) -> Value:
        length = int.from_bytes(await self._reader.readexactly(4), "big")
        if length > self._read_bytes_max:
            raise _Garbage(f"a message of {length} bytes, at most {self._read_bytes_max}")
        try:
            return cbor.decode(await self._reader.readexactly(length))
        except cbor.CborError as error:
            raise _Garbage(f"a message that is not readable: {error}") from error

    def _take(self, message: Value) -> None:
        match message:
            case [bool(), _, _]:
                raise _Garbage("a message whose id is not a number")
            case [int(number), bool(succeeded), body] if 0 < number <= self._last_id:
                self._settle(number, succeeded, body)
            case [int(number), str(kind), body] if number >= NOTICE:
                self._serve(number, kind, body)
            case _:
                raise _Garbage("a message that is neither call nor reply")

    def _settle(self, number: int, succeeded: bool, body: Value) -> None:
        reply = self._waiting.get(number)
        if reply is None or reply.done():
            return  # the caller has stopped waiting: a late reply is no fault
        match body:
            case _ if succeeded:
                reply.set_result(body)
            case [str(code), str(message)]:
                reply.set_exception(CallFailed(code, message))
            case _:
                raise _Garbage("a failure without code and message")

    def _serve(self, number: int, kind: str, body: Value) -> None:
        # A caller that gave up does not free the place here, so the limit is answered and not punished.
        busy = len(self._serving) >= IN_FLIGHT_MAX
        task = asyncio.get_running_loop().create_task(self._answer(number, kind, body, busy))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _answer(self, number: int, kind: str, body: Value, busy: bool) -> None:
        outcome = _failure("busy", "too many calls at once") if busy else await self._outcome(kind, body)
        if number == NOTICE:
            return
        try:
            data = _frame([number, *outcome])
        except (UplinkUnavailable, cbor.CborError) as error:
            data = _frame([number, *_failure("reply", str(error))])
        try:
            await self._write(data)
        except NoReply:
            return  # the peer is gone; run() notices by itself

    async def _outcome(self, kind: str, body: Value) -> tuple[bool, Value]:
        handler = self._handlers.get(kind)
        if handler is None:
            return _failure("unknown_kind", f"{kind[:40]!r} is not known here")
        try:
            return True, await handler(body)
        except CounterfoilError as error:
            return _failure(error.code, error.message)
        except Exception:  # a bug in one handler must cost that call, not the channel with all its sales
            _log.exception("the handler of %s failed", kind)
            return _failure("internal", "the handler failed")

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise NoReply("The other process went away.") from error


def _seen(reply: asyncio.Future[Value]) -> None:
    """Look at a failure that came while its caller was not waiting any more, or asyncio logs it as forgotten."""
    if not reply.cancelled():
        reply.exception()


def _failure(code: str, message: str) -> tuple[bool, Value]:
    return False, [code, message]


def _frame(message: list[Value]) -> bytes:
    data = cbor.encode(message)
    if len(data) > MESSAGE_BYTES_MAX:
        raise UplinkUnavailable(f"The message has {len(data)} bytes, at most {MESSAGE_BYTES_MAX} can be sent.")
    return len(data).to_bytes(4, "big") + data


class End(NamedTuple):
    """What one process holds of a stream pair."""

    reader: Reader
    writer: Writer


class _MemoryWriter:
    """Feeds the reader at the other end; closing either end ends both directions, as a crash would."""

    def __init__(self, own: asyncio.StreamReader, other: asyncio.StreamReader, closed: asyncio.Event) -> None:
        self._own = own
        self._other = other
        self._closed = closed

    def write(self, data: bytes) -> None:
        if not self._closed.is_set():
            self._other.feed_data(data)

    async def drain(self) -> None:
        if self._closed.is_set():
            raise ConnectionResetError("the other end is closed")

    def close(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._own.feed_eof()
            self._other.feed_eof()


def memory_pair() -> tuple[End, End]:
    """Two ends in one process, for tests and for the simulator; needs a running loop."""
    a, b, closed = asyncio.StreamReader(), asyncio.StreamReader(), asyncio.Event()
    return End(a, _MemoryWriter(a, b, closed)), End(b, _MemoryWriter(b, a, closed))
