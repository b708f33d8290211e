"""The uplink process: connects to `run`, runs its loops as long as the channel lives, and begins again when it dies.

The one rule: it holds nothing that matters. When the channel ends, everything here is thrown away and built anew, after
a pause; a loop that fails begins again alone, and the others do not notice.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Protocol, TypeAlias

from agent.core.cbor import Value
from agent.errors import CounterfoilError
from agent.uplink.access import AccessTold
from agent.uplink.backoff import Backoff, Rng
from agent.uplink.certificate import HasCertificate, Renewal
from agent.uplink.channel import Channel, Handler
from agent.uplink.client import BackendClient
from agent.uplink.documents import Documents
from agent.uplink.events import Events
from agent.uplink.exceptions import Exceptions
from agent.uplink.heartbeat import Heartbeat
from agent.uplink.journal_upload import JournalUpload
from agent.uplink.lane_calls import RemoteLane
from agent.uplink.link import Link
from agent.uplink.newcomers import Newcomers
from agent.uplink.sales import Sales
from agent.uplink.snapshots import RunBlocking, Snapshots
from agent.uplink.spool import Spool
from agent.uplink.wanted_layers import WantedLayers

RECONNECT_MAX_S: Final = 2.0
"""`run` is on the same machine: it is back within a second or two, or not at all."""

STABLE_S: Final = 30.0
"""A session that lasted so long was a good one: the next pause is short again."""


class Loop(Protocol):
    """One of the things that the uplink does all the time."""

    async def run(self) -> NoReturn: ...


Connect: TypeAlias = Callable[[Mapping[str, Handler]], Awaitable[Channel]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """`lane` is the lane's id; `online_budget_s` what a sale waits; the rest as in agent.toml's [uplink].

    `line` is for renewing the certificate; None where there is none to renew.
    """

    lane: str
    spool_dir: Path
    online_budget_s: float = 1.5
    poll_s: float = 15.0
    upload_entries_max: int = 500
    backoff_max_s: float = 60.0
    breaker_failures: int = 3
    free_space_min_bytes: int = 200_000_000
    line: HasCertificate | None = None


async def run_uplink(
    client: BackendClient,
    connect: Connect,
    rng: Rng,
    settings: UplinkSettings,
    run_blocking: RunBlocking = asyncio.to_thread,
) -> NoReturn:
    """Run until cancelled. `connect` opens the channel to `run` with the handlers it is given; it may raise OSError."""
    pace = Backoff(RECONNECT_MAX_S, rng)
    while True:
        began = asyncio.get_running_loop().time()
        session = _Session(client, rng, settings, run_blocking)
        try:
            await session.run(await connect(session.handlers))
        except OSError as error:
            _log.info("the agent is not there yet: %s", error.strerror or error)
        if asyncio.get_running_loop().time() - began >= STABLE_S:
            pace.reset()
        await asyncio.sleep(pace.next_s())


class _Session:
    """Everything that lives as long as one channel."""

    def __init__(self, client: BackendClient, rng: Rng, settings: UplinkSettings, run_blocking: RunBlocking) -> None:
        self._client = client
        self._rng = rng
        self._settings = settings
        self._run_blocking = run_blocking
        self._link = Link(settings.breaker_failures)
        self._poked = asyncio.Event()
        self.handlers: Mapping[str, Handler] = {
            **Sales(client, self._link, settings.lane).handlers,
            "poke": self._poke,
        }

    async def run(self, channel: Channel) -> None:
        """Run all loops until the channel ends."""
        loops = [asyncio.create_task(self._kept_running(loop)) for loop in self._loops(RemoteLane(channel))]
        try:
            await channel.run()
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            channel.close()

    async def _kept_running(self, loop: Loop) -> NoReturn:
        """A loop that fails begins again by itself: it must not take the sales of the others with it."""
        pace = self._pace(self._settings.poll_s)
        while True:
            try:
                await loop.run()
            except CounterfoilError as fault:
                _log.warning("%s begins again: %s", type(loop).__name__, fault.message, extra={"code": fault.code})
            except Exception:
                _log.exception("%s begins again", type(loop).__name__)
            await asyncio.sleep(pace.next_s())

    def _loops(self, lane: RemoteLane) -> tuple[Loop, ...]:
        settings, client, link = self._settings, self._client, self._link
        renewal = (Renewal(lane, client, settings.line, self._rng),) if settings.line else ()
        poll_s, spool = settings.poll_s, Spool(settings.spool_dir, free_min_bytes=settings.free_space_min_bytes)
        wanted, newcomers = WantedLayers(lane, client, link), Newcomers(lane, client, link)
        return (
            Heartbeat(
                lane, client, link, self._pace(poll_s),
                budget_s=settings.online_budget_s, poll_s=poll_s, want=wanted.want, meet=newcomers.meet,
            ),
            wanted,
            newcomers,
            self._upload(lane, self._poked, older=False),
            self._upload(lane, asyncio.Event(), older=True),
            Exceptions(lane, client, link, self._pace(), poll_s=poll_s),
            AccessTold(lane, client.access),
            *renewal,
            Documents(lane, client, link, self._pace(), poll_s=poll_s),
            Events(lane, client, link, self._pace(), poll_s=poll_s),
            Snapshots(
                lane, client, link, self._pace(), spool=spool, run_blocking=self._run_blocking, poll_s=poll_s
            ),
        )  # fmt: skip

    def _upload(self, lane: RemoteLane, poked: asyncio.Event, *, older: bool) -> JournalUpload:
        settings = self._settings
        return JournalUpload(
            lane, self._client, self._link, self._pace(),
            lane_id=settings.lane, entries_max=settings.upload_entries_max, poll_s=settings.poll_s,
            poked=poked, older=older,
        )  # fmt: skip

    def _pace(self, cap_s: float | None = None) -> Backoff:
        return Backoff(min(self._settings.backoff_max_s, cap_s or self._settings.backoff_max_s), self._rng)

    async def _poke(self, _: Value) -> Value:
        self._poked.set()
        return None
