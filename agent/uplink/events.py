"""Listens for what the backend has to tell: new snapshots, documents and disputes, recalls, revocation.

The one rule: an event only makes somebody look sooner than it would. It decides nothing, carries no money, and whoever
hears none finds the same by polling; so whatever comes down this line costs at most a look.

It listens over a stream. Where a stream does not get through (a proxy that holds back what it has not seen the end of),
it asks by long polls, and where those do not get through either, from time to time.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from enum import Enum, auto
from typing import Any, Final, NoReturn

from agent.uplink.backoff import Backoff
from agent.uplink.client import BackendClient
from agent.uplink.event_stream import EventReader, Garbage, PushEvent
from agent.uplink.faults import ACCESS_REFUSALS, BackendFault, Busy, NoAnswer, NotReached, Torn
from agent.uplink.lane_side import LaneSide
from agent.uplink.link import Link, woken

FIRST_S: Final = 30.0
"""A backend says something at once; what is silent so long at its beginning does not get through."""

SILENT_S: Final = 45.0
"""Three comments of the backend that did not come: the line is dead."""

WAIT_S: Final = 25
"""The longest that a backend holds a long poll."""

WAY_KEPT_S: Final = 600.0
"""How long a lesser way is used before the better one is tried again: somebody may have mended the proxy."""

RECALLED_MAX: Final = 100_000
"""Accounts that may wait to be given back; more than one lane ever sells to."""

_log = logging.getLogger(__name__)


class Way(Enum):
    """How the backend is listened to, best first."""

    STREAM = auto()
    LONG_POLL = auto()
    POLL = auto()


STABLE_S: Final = {Way.STREAM: 30.0, Way.LONG_POLL: 1.0, Way.POLL: 0.0}
"""Who answers faster, again and again, is not listened to faster: the pauses grow until an answer lasted so long."""

_WORSE: Final = {Way.STREAM: Way.LONG_POLL, Way.LONG_POLL: Way.POLL, Way.POLL: Way.POLL}


class Events:
    """Listens always; `way` is how."""

    def __init__(self, lane: LaneSide, client: BackendClient, link: Link, pace: Backoff, *, poll_s: float) -> None:
        self._lane, self._client, self._link, self._pace, self._poll_s = lane, client, link, pace, poll_s
        self._recovered = link.recovery()
        self._cursor = ""
        self._heard = False
        self._way_until_s = 0.0
        self._recalled: dict[tuple[str, bytes], str] = {}
        self.way = Way.STREAM

    async def run(self) -> NoReturn:
        while True:
            await woken(self._recovered, await self._round())

    async def _round(self) -> float:
        """Listen for a while; returns the seconds until the next time."""
        began_s = _now_s()
        if began_s >= self._way_until_s:
            self.way = Way.STREAM
        self._heard = False
        try:
            await self._listen()
        except BackendFault as fault:
            self._link.untimed(fault)
            return self._after(fault)
        self._link.untimed(None)
        lasted_s = _now_s() - began_s
        if lasted_s >= STABLE_S[self.way]:
            self._pace.reset()
        at_once = self.way is Way.LONG_POLL and lasted_s >= STABLE_S[self.way]
        return 0.0 if at_once else self._next_s(None)

    async def _listen(self) -> None:
        if self.way is Way.STREAM:
            await self._stream()
        else:
            await self._ask(WAIT_S if self.way is Way.LONG_POLL else 0)

    def _after(self, fault: BackendFault) -> float:
        """A way that brings nothing is left for a while, unless the fault speaks of the line or of this lane."""
        passing = isinstance(fault, NotReached | Busy) or getattr(fault, "problem", None) in ACCESS_REFUSALS
        if not passing and not self._heard and self.way is not Way.POLL:
            self.way, self._way_until_s = _WORSE[self.way], _now_s() + WAY_KEPT_S
            _log.info("news come by %s now: %s", self.way.name, fault.message)
            return 0.0
        return self._next_s(fault.retry_after_s)

    def _next_s(self, at_least_s: float | None) -> float:
        pause_s = self._pace.next_s(at_least_s)
        return max(pause_s, self._poll_s) if self.way is Way.POLL else pause_s

    async def _stream(self) -> None:
        """Until the stream ends. Raises BackendFault; one that ended without a word is NoAnswer."""
        reader = EventReader()
        async with aclosing(self._client.event_stream(self._cursor)) as pieces:
            while piece := await self._piece(pieces):
                self._heard = True
                try:
                    found = list(reader.feed(piece, _now_s()))
                except Garbage as error:
                    raise Torn(f"The stream of events is cut: {error}.") from error
                await self._take(found)
        if not self._heard:
            raise NoAnswer("The stream of events ended before it began.")

    async def _piece(self, pieces: Any) -> bytes:
        limit_s = SILENT_S if self._heard else FIRST_S
        try:
            async with asyncio.timeout(limit_s):
                piece: bytes = await anext(pieces, b"")
                return piece
        except TimeoutError:
            raise NoAnswer(f"The stream of events was silent for {limit_s:g} s.") from None

    async def _ask(self, wait_s: int) -> None:
        found, cursor = await self._client.events(self._cursor, wait_s)
        self._heard = True
        await self._take(found)
        self._cursor = cursor

    async def _take(self, found: Sequence[PushEvent]) -> None:
        for event in found:
            self._cursor = event.id or self._cursor
            if event.kind == "recall":
                self._note_recall(event.data)
            elif event.kind == "authorization":
                await self._decided(event.data)
            elif event.kind == "revoked":
                self._client.access.refused("lane_revoked")
            self._link.wake(event.kind)
        await self._give_back()

    async def _decided(self, data: Mapping[str, Any]) -> None:
        """A sale under way may ask at once; it decides nothing by this word."""
        match data:
            case {"lender": str(lender), "sale_id": str(sale_id), "attempt": int(attempt)}:
                await self._lane.decided(lender, sale_id, attempt)
            case _:
                _log.warning("news of an attempt cannot be read")

    def _note_recall(self, data: Mapping[str, Any]) -> None:
        """Of all leases at once (`accounts` null) the next snapshot takes care."""
        lender, accounts, reason = data.get("lender"), data.get("accounts") or (), data.get("reason")
        try:
            asked = {(str(lender), bytes.fromhex(account)): str(reason)[:64] for account in accounts}
        except (TypeError, ValueError):
            _log.warning("a recall cannot be read")
            return
        if len(self._recalled) + len(asked) <= RECALLED_MAX:
            self._recalled |= {key: why for key, why in asked.items() if len(key[1]) == 16}

    async def _give_back(self) -> None:
        """What a sale under way still needs is asked for again with the next word of the backend: it is never long."""
        for lender in dict.fromkeys(lender for lender, _ in self._recalled):
            accounts = [account for known, account in self._recalled if known == lender]
            left = await self._lane.recall(lender, accounts, self._recalled[lender, accounts[0]])
            for account in set(accounts).difference(left):
                del self._recalled[lender, account]


def _now_s() -> float:
    return asyncio.get_running_loop().time()
