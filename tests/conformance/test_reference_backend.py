"""The reference backend breaks no rule; with a fault it breaks exactly those that the fault is about."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from agent.conformance import report, suite
from agent.conformance.suite import Result
from tests.conformance.faulty_backend import FAULTS, SLOW, Fault
from tests.conformance.served import serving

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def tried(fault: Fault) -> list[Result]:
    cases = [case for case in suite.chosen() if not case.id.startswith(SLOW) or case.id in fault.fails]
    with (
        tempfile.TemporaryDirectory(dir=MEMORY) as directory,
        fault.patch(),
        serving(Path(directory), wrap=fault.wrap, before_restart=fault.before_restart) as (url, kit),
    ):
        return suite.run(url, kit, cases, tell=lambda _: None)


@pytest.mark.proof
def test_the_reference_backend_breaks_no_rule() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory, serving(Path(directory)) as (url, kit):
        results = suite.run(url, kit, suite.chosen(), tell=lambda _: None)
    assert [report.line(result) for result in results if result.outcome != "passed"] == []
    assert len(results) >= 110


@pytest.mark.proof
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_fails_exactly_the_cases_that_it_should(name: str) -> None:
    results = tried(FAULTS[name])
    failed = {result.case.id: report.line(result) for result in results if result.outcome == "failed"}
    assert set(failed) == FAULTS[name].fails, "\n".join(failed.values())


def test_every_fault_is_found_by_a_case_that_exists() -> None:
    known = {case.id for case in suite.chosen()}
    assert len(FAULTS) >= 15
    assert all(fault.fails and fault.fails <= known for fault in FAULTS.values())
