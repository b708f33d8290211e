"""One lane of the fleet: the real services, ledger and uplink on a disk in memory, with processes that can die.

The one rule: what survives a crash is what the disk model and the paper say, and nothing else: no object of the dead
process is used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

import httpx

from agent.core.authorization import Hold
from agent.core.cose import SigningKey
from agent.core.journal import Draft, Sealed
from agent.core.receipt import Seller
from agent.core.trusted_time import ClockReading
from agent.core.witness import Witnessed
from agent.errors import CounterfoilError
from agent.lane import Lane, LaneSettings
from agent.lane_desk import LaneDesk
from agent.ports import PrintMark, Slip
from agent.services.lenders import EnrolledLender
from agent.simulation.disk import Disk, DiskVfs, Survivors
from agent.simulation.network import Network
from agent.simulation.printer import Paper, PaperPrinter
from agent.simulation.recovery import PATH
from agent.store.ledger import SqliteLedger
from agent.store.snapshot_files import SnapshotFiles
from agent.uplink.channel import Channel, Handler, memory_pair
from agent.uplink.client import BackendClient
from agent.uplink.process import UplinkSettings, run_uplink
from agent.uplink.remote import RemoteBackend
from backend.identity import LaneName

POLL_S: Final = 300.0
"""Heartbeats and looks for documents; slower than the product's, so that a run has more sales in it than heartbeats."""
MAINTENANCE_S: Final = 900.0
LINK_WAIT_S: Final = 3.0
WAL_PAGES: Final = 16

_Answer = TypeVar("_Answer")


class Witness:
    """Whoever watches the fleet from outside; the auditor, in practice."""

    def recorded(self, lane: LaneProcess, chain: Sequence[Sealed]) -> None: ...

    def acknowledged(self, lane: LaneProcess, through: int) -> None: ...

    def announced(self, lane: LaneProcess, hold: Hold) -> None: ...

    def printed(self, lane: LaneProcess, paper: Paper) -> None: ...

    def note(self, what: str) -> None: ...

    def violated(self, what: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Site:
    """What all lanes of a run share: dice, network, lender, a directory for snapshot files, and the witness."""

    random: Random
    network: Network
    lenders: Sequence[EnrolledLender]
    directory: Path
    witness: Witness
    start_s: int


class WallClock:
    """A lane's clocks. ``offset_s`` is how wrong the wall clock is; the monotonic one is honest."""

    def __init__(self, start_s: int) -> None:
        self._start_s = start_s
        self.offset_s = 0

    def wall_s(self) -> int:
        return max(0, int(self._start_s + self.monotonic_s()) + self.offset_s)

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()


class _Machine:
    """The port ``Witness``: what is on this computer outside the ledger's disk."""

    machine = b"machine"

    def __init__(self) -> None:
        self._said: Witnessed | None = None

    def read(self) -> Witnessed | None:
        return self._said

    def write(self, said: Witnessed) -> bool:
        self._said = said
        return True


class _WatchedLedger(SqliteLedger):
    """The real ledger; it tells its owner what has been recorded, after the fact."""

    owner: LaneProcess

    def record(
        self,
        drafts: Sequence[Draft],
        reading: ClockReading,
        *,
        slip: Slip | None = None,
        printed: PrintMark | None = None,
    ) -> list[Sealed]:
        chain = super().record(drafts, reading, slip=slip, printed=printed)
        self.owner.site.witness.recorded(self.owner, chain)
        return chain

    def start_epoch(self, lane: str, epoch: int, draft: Draft, reading: ClockReading) -> None:
        super().start_epoch(lane, epoch, draft, reading)
        self.owner.site.witness.recorded(self.owner, self.entries_after(epoch, 0, 1))


class LaneProcess:
    """``boot`` and ``crash`` as often as wanted; ``ask`` is how the world speaks to it."""

    def __init__(self, name: LaneName, journal_key: SigningKey, site: Site, *, printer_trouble: float) -> None:
        self.name, self.site = name, site
        self._journal_key = journal_key
        self.disk = Disk()
        self._vfs = DiskVfs(self.disk)
        self.clock = WallClock(site.start_s)
        self.printer = PaperPrinter(site.random, lambda paper: site.witness.printed(self, paper), printer_trouble)
        self.lane: Lane | None = None
        self._machine = _Machine()
        self._epoch = 1
        self._previous: Mapping[str, Any] | None = None
        self._ledger: SqliteLedger | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._uplink: asyncio.Task[Any] | None = None
        self._snapshots = site.directory / name.lane
        (self._snapshots / "spool").mkdir(parents=True, exist_ok=True)

    def boot(self) -> None:
        """Start the agent, and the uplink if it is not there."""
        self.site.witness.note(f"{self.name.lane} boots")
        ledger = _WatchedLedger.open(PATH, vfs=self._vfs.name, sync_dir=self.disk.sync_names, wal_pages=WAL_PAGES)
        assert isinstance(ledger, _WatchedLedger)
        ledger.owner = self
        self._ledger = ledger
        desk = LaneDesk()
        backend = RemoteBackend(desk)
        lane = self.lane = self._composed(ledger, backend)
        desk.serve(lane)
        lane.counter.announce = self._announced  # type: ignore[method-assign]  # the page of this lane is the witness
        for loop in (lane.spooler.run(), self._started(lane), self._maintained(lane)):
            self.spawn(loop)
        if self._uplink is None:
            self._uplink = self._spawned(self._run_uplink())

    def _composed(self, ledger: SqliteLedger, backend: RemoteBackend) -> Lane:
        lane = self.name.lane
        return Lane(
            LaneSettings(
                lane,
                self.name.store,
                self._epoch,
                Seller("Shop", self.name.store, lane),
                bytes(32),
                epoch_reason="replaced" if self._previous else "enrolled",
                previous=self._previous,
            ),
            self.site.lenders,
            self._journal_key,
            ledger=ledger,
            snapshots=SnapshotFiles(self._snapshots),
            backend=backend,
            printer=self.printer,
            clock=self.clock,
            random_bytes=self.site.random.randbytes,
            free_bytes=lambda: 10**12,
            witness=self._machine,
        )

    async def ask(self, question: Callable[[Lane], Awaitable[_Answer]]) -> _Answer | None:
        """The answer, or None when the process died before it gave one. Raises CounterfoilError."""
        if self.lane is None:
            return None
        task = self.spawn(_awaited(question(self.lane)), may_refuse=True)
        await asyncio.wait({task})
        return None if task.cancelled() else task.result()

    async def crash(self, survivors: Survivors | None) -> None:
        """Die at whatever await it is. None: only the process died; else the power was cut."""
        if self.lane is None:
            return
        self.site.witness.note(f"{self.name.lane} dies ({survivors or 'killed'})")
        self.lane = None
        self.disk.process_is_dead = True
        tasks, self._tasks = self._tasks, []
        await _ended(tasks)
        if survivors is not None:
            await self.crash_uplink()
        assert self._ledger is not None
        self._ledger.close()
        left = self.disk.after_kill() if survivors is None else self.disk.after_power_cut(survivors, self.site.random)
        self.disk = self._vfs.disk = Disk(left)

    async def put_back(self, files: Mapping[str, bytes]) -> bool:
        """The agent dies, and its ledger becomes what it was when ``files`` were copied. False: it is dead already."""
        if self.lane is None:
            return False
        await self.crash(None)
        self.disk = self._vfs.disk = Disk(files)
        return True

    def become_another_device(self, journal_key: SigningKey, epoch: int, previous: Mapping[str, Any]) -> None:
        """Nothing of the dead device is left: neither its disk nor its key, nor what lay beside them."""
        assert self.lane is None and self._uplink is None, "the device that it replaces runs no more"
        self._journal_key, self._epoch, self._previous = journal_key, epoch, previous
        self.disk = self._vfs.disk = Disk()
        self._machine = _Machine()
        shutil.rmtree(self._snapshots)
        (self._snapshots / "spool").mkdir(parents=True)

    async def crash_uplink(self) -> None:
        if self._uplink is not None:
            self.site.witness.note(f"the uplink of {self.name.lane} dies")
            uplink, self._uplink = self._uplink, None
            await _ended([uplink])

    def restart_uplink(self) -> None:
        if self._uplink is None:
            self._uplink = self._spawned(self._run_uplink())

    async def stop(self) -> None:
        """End everything, for the end of the run."""
        await self.crash_uplink()
        tasks, self._tasks = self._tasks, []
        await _ended(tasks)
        self.lane = None
        if self._ledger is not None:
            self._ledger.close()

    def spawn(self, work: Coroutine[Any, Any, _Answer], *, may_refuse: bool = False) -> asyncio.Task[_Answer]:
        """A task that dies with the agent. One that fails by itself is a finding, unless a refusal is expected."""
        task = self._spawned(work, may_refuse=may_refuse)
        self._tasks = [known for known in self._tasks if not known.done()] + [task]
        return task

    def _spawned(self, work: Coroutine[Any, Any, _Answer], *, may_refuse: bool = False) -> asyncio.Task[_Answer]:
        def look(task: asyncio.Task[_Answer]) -> None:
            error = None if task.cancelled() else task.exception()
            expected = may_refuse and isinstance(error, CounterfoilError)
            if error is not None and not expected and not disk.process_is_dead:
                self.site.witness.violated(f"{self.name.lane}: {type(error).__name__} escaped: {error}")

        disk = self.disk
        task: asyncio.Task[_Answer] = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(look)
        return task

    async def _started(self, lane: Lane) -> None:
        """As the daemon does: give the link a moment, then close what the crash left open."""
        waited_s = 0.0
        while not lane.backend.available and waited_s < LINK_WAIT_S:
            await asyncio.sleep(0.2)
            waited_s += 0.2
        await lane.start()

    async def _maintained(self, lane: Lane) -> None:
        while True:
            await asyncio.sleep(MAINTENANCE_S)
            await lane.maintain()

    async def _run_uplink(self) -> None:
        transport = self.site.network.transport(self.name)
        async with httpx.AsyncClient(transport=transport, base_url="https://backend", trust_env=False) as http:
            client = BackendClient(http, transfer_timeout_s=20.0)
            spool = self._snapshots / "spool"
            settings = UplinkSettings(
                self.name.lane, spool, poll_s=POLL_S, backoff_max_s=POLL_S, free_space_min_bytes=0
            )
            await run_uplink(client, self._connect, self.site.random, settings, _run_at_once)

    async def _connect(self, handlers: Mapping[str, Handler]) -> Channel:
        if self.lane is None:
            raise ConnectionRefusedError("the agent is not running")
        backend = self.lane.backend
        assert isinstance(backend, RemoteBackend)
        near, far = memory_pair()
        channel = Channel(near.reader, near.writer, self._watched(backend.handlers))
        backend.attach(channel)
        self.spawn(channel.run())
        return Channel(far.reader, far.writer, handlers)

    def _watched(self, handlers: Mapping[str, Handler]) -> Mapping[str, Handler]:
        async def acknowledged(body: Any) -> Any:
            answer = await handlers["acknowledged"](body)
            self.site.witness.acknowledged(self, body[1])
            return answer

        return {**handlers, "acknowledged": acknowledged}

    def _announced(self, hold: Hold) -> None:
        self.site.witness.announced(self, hold)


async def _awaited(question: Awaitable[_Answer]) -> _Answer:
    return await question


async def _ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run_at_once(function: Callable[..., Any], /, *args: Any) -> Any:
    return function(*args)
