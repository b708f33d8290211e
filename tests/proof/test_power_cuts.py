"""Promises 1 and 2 against power cuts and failing disks, on the real ledger.

The controls come with every run: a rig that finds nothing in a ledger without its safeguards proves nothing.
"""

import os
from random import Random

import apsw
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from agent.errors import LedgerError
from agent.simulation.disk import Disk, DiskVfs, Survivors
from agent.simulation.disk_faults import FaultReport, fail_at_every_operation, wal_kept_at_opening
from agent.simulation.ledger_day import LedgerDay
from agent.simulation.power_cuts import CONTROLS, PRODUCT, Opening, PowerCuts
from agent.simulation.recovery import Content, Recovery, content_of, journal_in, open_ledger
from agent.store.ledger import SqliteLedger

CUT_POINTS = int(os.environ.get("COUNTERFOIL_CUT_POINTS", "100000"))
CUT_SEEDS = 10
FAULT_SEEDS = 3
MACHINE_EXAMPLES = 600

pytestmark = pytest.mark.proof


@pytest.mark.parametrize("seed", range(CUT_SEEDS))
def test_nothing_acknowledged_is_lost_in_a_power_cut_at_any_disk_operation(seed: int) -> None:
    opening = PRODUCT[seed % len(PRODUCT)]
    report = PowerCuts(seed, opening).cut_at_every_operation(CUT_POINTS // CUT_SEEDS)
    assert report.losses == []
    assert report.points >= CUT_POINTS // CUT_SEEDS


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_a_ledger_without_one_of_its_safeguards_is_seen_to_lose(control: Opening) -> None:
    assert PowerCuts(1, control).cut_at_every_operation(20_000).losses


@pytest.mark.parametrize("seed", range(FAULT_SEEDS))
def test_a_full_or_failing_disk_never_gets_an_approval_that_is_not_on_it(seed: int) -> None:
    report = FaultReport()
    fail_at_every_operation(seed, report, stride=FAULT_SEEDS)
    assert report.violations == []
    assert report.refused and report.unknown


def test_a_ledger_that_trusts_the_log_it_finds_is_seen_to_lose_after_a_failed_sync() -> None:
    report = FaultReport()
    with wal_kept_at_opening():
        fail_at_every_operation(2, report, stride=3)
    assert report.violations


class LedgerLife(RuleBasedStateMachine):
    """Calls, restarts and power cuts in any order that hypothesis thinks of."""

    @initialize(seed=st.integers(0, 2**32))
    def enroll(self, seed: int) -> None:
        self.random = Random(seed)
        self.vfs, self.day, self.recovery = DiskVfs(Disk()), LedgerDay(self.random), Recovery()
        self.ledger = open_ledger(self.vfs)

    @rule()
    def call(self) -> None:
        before = journal_in(content_of(self.ledger))
        promised = self._call(self.ledger)
        assert journal_in(content_of(self.ledger)) == (*before, *promised)

    @rule()
    def reopen(self) -> None:
        before = content_of(self.ledger)
        self.ledger.close()
        self.ledger = open_ledger(self.vfs)
        assert content_of(self.ledger) == before

    @rule(after=st.integers(0, 25), survivors=st.sampled_from(Survivors))
    def lose_power_during_a_call(self, after: int, survivors: Survivors) -> None:
        before = journal_in(content_of(self.ledger))
        finished = self._call_until(self.vfs.disk.operations + after)
        self._boot(survivors)
        recovered = content_of(self.ledger)
        if finished is not None:
            assert recovered == finished
        else:
            assert journal_in(recovered)[: len(before)] == before
            assert len(journal_in(recovered)) <= len(before) + 1

    def _call(self, ledger: SqliteLedger) -> tuple[bytes, ...]:
        _name, call = self.day.next_call(ledger)
        return tuple(sealed.data for sealed in call(ledger))

    def _call_until(self, cut_at: int) -> Content | None:
        """The content after the call if it got that far, else None."""

        def die(_what: str) -> None:
            if self.vfs.disk.operations > cut_at:
                self.vfs.disk.process_is_dead = True
                raise apsw.IOError("power lost")

        self.vfs.disk.before = die
        try:
            self._call(self.ledger)
        except LedgerError:
            return None
        return content_of(self.ledger)

    def _boot(self, survivors: Survivors) -> None:
        disk = self.vfs.disk
        image = disk.after_power_cut(survivors, self.random)
        disk.process_is_dead = True
        self.ledger.close()
        assert self.recovery.boot(image).fault is None
        self.vfs.disk = Disk(image)
        self.ledger = open_ledger(self.vfs)

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()


def test_any_interleaving_of_calls_restarts_and_power_cuts_keeps_what_was_acknowledged() -> None:
    run_state_machine_as_test(
        LedgerLife,
        settings=settings(
            max_examples=MACHINE_EXAMPLES,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
