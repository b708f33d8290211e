"""Power cuts at every disk operation of a lane's day, on the real ledger.

The one rule: after any cut the ledger holds exactly what it held after its last finished call, or after the call that
was under way: nothing acknowledged is missing, nothing half done, nothing that nobody handed in.

The controls are ledgers opened without a part of the seal. The rig must find losses in each of them, or its silence
about the real one says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final
from unittest import mock

from playhouse.apsw_ext import APSWDatabase

from agent.simulation.disk import Disk, DiskVfs, Survivors
from agent.simulation.ledger_day import LedgerDay
from agent.simulation.recovery import Content, Recovered, Recovery, content_of, journal_in, open_ledger
from agent.store import database as files
from agent.store.ledger import SqliteLedger

CALLS_A_LIFE: Final = 14
"""Ledger calls between two boots; a few of them each time, so that recovery itself is cut as often as the day."""
LIVES: Final = 4
REOPEN_SHARE: Final = 0.12
NEXT_LIFE_SHARE: Final = 0.002
"""How often a cut becomes the beginning of the next life: about once a life."""

_TRIALS: Final = (Survivors.NONE, Survivors.ALL, Survivors.RANDOM, Survivors.RANDOM, Survivors.TORN, Survivors.TORN)


@dataclass(frozen=True, slots=True)
class Opening:
    """How the ledger is opened: as the product does, or without one of its safeguards."""

    name: str
    synchronous: str = "FULL"
    sealed: bool = True
    names_are_synced: bool = True
    like_unix: bool = False

    @contextmanager
    def applied(self) -> Iterator[None]:
        patch = mock.patch.object(files, "_seal", files._seal if self.sealed else _unsealed)
        with patch:
            yield

    def open(self, vfs: DiskVfs) -> SqliteLedger:
        return open_ledger(vfs, synchronous=self.synchronous, names_are_synced=self.names_are_synced)


PRODUCT: Final = (Opening("as shipped"), Opening("as shipped, names synced as on Unix", like_unix=True))
"""The first is the stricter model; but there SQLite itself cannot make a new file safe before it is first opened."""
CONTROLS: Final = (
    Opening("synchronous=NORMAL", synchronous="NORMAL"),
    Opening("synchronous=OFF", synchronous="OFF"),
    Opening("no seal", sealed=False, names_are_synced=False),
    Opening("no directory sync", names_are_synced=False),
)


@dataclass(slots=True)
class CutReport:
    """``points`` is how many (operation, survivors) pairs were tried; ``losses`` what was wrong after them."""

    points: int = 0
    boots: int = 0
    calls: int = 0
    losses: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Found:
    """A state that only the unfinished call can explain."""

    where: str
    state: Recovered


class PowerCuts:
    """One lane's days on one disk model. ``cut_at_every_operation`` goes on until ``points`` or the first loss."""

    def __init__(self, seed: int, opening: Opening = PRODUCT[0]) -> None:
        self._random = Random(seed)
        self._seed, self._opening = seed, opening
        self._recovery = Recovery()
        self._finished: Content = ()
        self._promised: tuple[bytes, ...] = ()
        self._unexplained: list[_Found] = []
        self._next: tuple[dict[str, bytes], Recovered] = ({}, Recovered())
        self._call = "open"
        self._points = 0
        self._vfs = DiskVfs(Disk(), like_unix=opening.like_unix)
        self.report = CutReport()

    def cut_at_every_operation(self, points: int) -> CutReport:
        self._points = points
        with self._opening.applied():
            while self._goes_on():
                self._one_day()
        self.report.boots = self._recovery.boots
        return self.report

    def _goes_on(self) -> bool:
        return self.report.points < self._points and not self.report.losses

    def _one_day(self) -> None:
        """Lives of one ledger, each beginning on what some cut of the one before has left."""
        self._next = ({}, Recovered())
        for _ in range(LIVES):
            image, found = self._next
            self._finished, self._promised = found.content, found.journal
            if self._goes_on():
                self._live(image)

    def _live(self, image: dict[str, bytes]) -> None:
        disk = self._vfs.disk = Disk(image)
        disk.after = self._cut
        self._call = "open"
        day = LedgerDay(self._random)
        ledger = self._opening.open(self._vfs)
        try:
            self._finish(ledger)
            for _ in range(self._random.randrange(1, CALLS_A_LIFE)):
                if self._goes_on():
                    ledger = self._next_call(day, ledger)
        finally:
            disk.after = _no_cut
            ledger.close()

    def _next_call(self, day: LedgerDay, ledger: SqliteLedger) -> SqliteLedger:
        if self._random.random() < REOPEN_SHARE:
            self._call = "reopen"
            ledger.close()
            ledger = self._opening.open(self._vfs)
        else:
            self._call, call = day.next_call(ledger)
            self._promised += tuple(sealed.data for sealed in call(ledger))
        self._finish(ledger)
        return ledger

    def _finish(self, ledger: SqliteLedger) -> None:
        """The call has returned: from now on its result must be there, and what was odd before must be that result."""
        self.report.calls += 1
        content = content_of(ledger)
        for found in self._unexplained:
            if found.state.content != content:
                self._lose(found.where, "neither the state before the call nor the one after it")
        self._unexplained.clear()
        self._finished = content
        if journal_in(content) != self._promised:
            self._lose(self._call, "the journal is not what was acknowledged")

    def _cut(self, what: str) -> None:
        disk = self._vfs.disk
        for survivors in _TRIALS:
            self.report.points += 1
            image = disk.after_power_cut(survivors, self._random)
            state = self._recovery.boot(image)
            if state.fault is None and self._random.random() < NEXT_LIFE_SHARE:
                self._next = (image, state)
            where = f"{self._opening.name}, seed {self._seed}: power lost in {self._call} after {what} "
            self._judge(f"{where} (operation {disk.operations}, survivors {survivors})", state)

    def _judge(self, where: str, state: Recovered) -> None:
        unborn = not self._finished and not self._opening.like_unix
        if state.fault is not None and not unborn:
            self._lose(where, state.fault)
        elif state.journal[: len(self._promised)] != self._promised:
            self._lose(where, f"{len(self._promised)} entries acknowledged, {len(state.journal)} found")
        elif state.content != self._finished:
            self._unexplained.append(_Found(where, state))

    def _lose(self, where: str, why: str) -> None:
        self.report.losses.append(f"{where}: {why}")


def _unsealed(database: APSWDatabase, path: str, sync_dir: Callable[[str], None], synchronous: str) -> None:
    """What looks sufficient and is not: write-ahead log and FULL, without EXTRA first and a durable name."""
    settings = ("locking_mode=EXCLUSIVE", f"synchronous={synchronous}", "journal_mode=WAL", "wal_autocheckpoint=0")
    for pragma in settings:
        database.execute_sql(f"PRAGMA {pragma}").fetchall()
    sync_dir(str(Path(path).parent))


def _no_cut(_what: str) -> None:
    return None
