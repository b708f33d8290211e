"""A full disk and a failing disk, at every operation of a lane's day on the real ledger.

The one rule: *unavailable* means that nothing was recorded, *unknown* means that the ledger refuses until it is opened
again, and whatever it shows after that is on the disk for good, even if the failed sync took writes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final
from unittest import mock

import apsw

from agent.errors import LedgerError, LedgerUnavailable, LedgerUnknownOutcome
from agent.simulation.disk import Disk, DiskVfs, Survivors
from agent.simulation.ledger_day import LedgerDay
from agent.simulation.recovery import Recovery, content_of, journal_in, open_ledger
from agent.store import database as files
from agent.store.ledger import SqliteLedger

CALLS_A_DAY: Final = 10


class Fault(StrEnum):
    """What the disk does at one operation, or from that operation on until it is repaired."""

    FULL = "full"
    FULL_ONCE = "full once"
    BROKEN = "broken"
    BROKEN_ONCE = "broken once"


@dataclass(slots=True)
class FaultReport:
    """``points``: operations that were made to fail. ``refused``, ``unknown``: what the ledger said to its caller."""

    points: int = 0
    refused: int = 0
    unknown: int = 0
    violations: list[str] = field(default_factory=list)


def fail_at_every_operation(seed: int, report: FaultReport, *, stride: int = 1) -> None:
    """Repeat one seeded day, each time with another fault at another operation, every ``stride``-th of them.

    Stops at the first violation.
    """
    for fault in Fault:
        operation, reached = 1, True
        while reached and not report.violations:
            reached = _Day(seed, fault, operation, report).live()
            operation += stride


@contextmanager
def wal_kept_at_opening() -> Iterator[None]:
    """The control: a ledger that trusts the WAL it finds, although a failed sync may have left it in memory only."""
    with mock.patch.object(files, "empty_wal", lambda _database: None):
        yield


class _Day:
    def __init__(self, seed: int, fault: Fault, operation: int, report: FaultReport) -> None:
        self._random = Random(seed)
        self._fault, self._operation, self._report = fault, operation, report
        self._where = f"seed {seed}, disk {fault} at operation {operation}"
        self._disk = Disk()
        self._vfs = DiskVfs(self._disk)
        self._struck = False
        self._promised: tuple[bytes, ...] = ()

    def live(self) -> bool:
        """False when the day was over before the fault came."""
        self._disk.before = self._strike
        day = LedgerDay(self._random)
        ledger: SqliteLedger | None = None
        for _ in range(CALLS_A_DAY):
            if ledger is None and (ledger := self._opened()) is None:
                continue
            ledger = self._call(day, ledger)
        if ledger is not None:
            ledger.close()
        self._disk.before = _sound
        self._check_durable()
        self._report.points += self._struck
        return self._struck

    def _opened(self) -> SqliteLedger | None:
        try:
            return open_ledger(self._vfs)
        except LedgerUnavailable:
            self._report.refused += 1
            self._disk.before = _sound
            return None

    def _call(self, day: LedgerDay, ledger: SqliteLedger) -> SqliteLedger | None:
        """The ledger to go on with; None when it must be opened again."""
        try:
            _name, call = day.next_call(ledger)
            self._promised += tuple(sealed.data for sealed in call(ledger))
        except LedgerUnknownOutcome:
            self._report.unknown += 1
            self._after_unknown(day, ledger)
            return None
        except LedgerUnavailable:
            self._report.refused += 1
            self._disk.before = _sound
            return self._after_refusal(ledger)
        return ledger

    def _after_refusal(self, ledger: SqliteLedger) -> SqliteLedger | None:
        try:
            held = journal_in(content_of(ledger))
        except (apsw.Error, LedgerError) as error:
            self._violated(f"after a refusal the journal cannot be read: {error}")
            return None
        if held != self._promised:
            self._violated("the ledger said that nothing was recorded, and something was")
        if ledger.failed is None:
            return ledger
        ledger.close()
        return None

    def _after_unknown(self, day: LedgerDay, ledger: SqliteLedger) -> None:
        """It must refuse; opened again it tells what became of the call, and may not change its mind."""
        self._disk.before = _sound
        refusals: tuple[Callable[[], object], ...] = (lambda: day.next_call(ledger)[1](ledger), ledger.open_intents)
        for attempt in refusals:
            try:
                attempt()
            except LedgerUnavailable:
                continue
            self._violated("it went on after a commit with an unknown outcome")
        self._disk.process_is_dead = True  # a lane that does not know must stop, and comes back by its restart
        ledger.close()
        self._disk.process_is_dead = False
        self._learn()

    def _learn(self) -> None:
        ledger = self._opened()
        if ledger is None:
            self._violated("it does not open again on a repaired disk")
            return
        held = journal_in(content_of(ledger))
        if held[: len(self._promised)] != self._promised or len(held) > len(self._promised) + 1:
            self._violated(f"{len(self._promised)} entries acknowledged, {len(held)} found after opening again")
        self._promised = held
        self._check_durable()
        ledger.close()

    def _check_durable(self) -> None:
        """Cut the power with nothing but synced writes surviving: what was shown must still be there."""
        state = Recovery().boot(self._disk.after_power_cut(Survivors.NONE, self._random))
        if state.fault is not None and self._promised:
            self._violated(state.fault)
        elif state.journal != self._promised:
            self._violated(f"{len(self._promised)} entries shown, {len(state.journal)} left after a power cut")

    def _strike(self, what: str) -> None:
        once = self._fault in (Fault.FULL_ONCE, Fault.BROKEN_ONCE)
        if self._disk.operations < self._operation or (once and self._struck):
            return
        full = self._fault in (Fault.FULL, Fault.FULL_ONCE)
        if full and what not in ("write", "create"):
            return
        self._struck = True
        raise apsw.FullError("no space left on device") if full else apsw.IOError("input/output error")

    def _violated(self, why: str) -> None:
        self._report.violations.append(f"{self._where}: {why}")


def _sound(_what: str) -> None:
    return None
