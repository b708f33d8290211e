"""The power-cut rig in short, so that a change that breaks the seal is seen at once; `make proof` runs it in full."""

import pytest

from agent.simulation.disk_faults import FaultReport, fail_at_every_operation
from agent.simulation.power_cuts import CONTROLS, PRODUCT, Opening, PowerCuts


@pytest.mark.parametrize("opening", PRODUCT, ids=lambda opening: opening.name)
def test_nothing_acknowledged_is_lost_in_a_power_cut(opening: Opening) -> None:
    report = PowerCuts(0, opening).cut_at_every_operation(600)
    assert report.losses == []
    assert report.points >= 600


def test_the_rig_sees_what_a_ledger_without_its_seal_loses() -> None:
    no_seal = next(control for control in CONTROLS if control.name == "no seal")
    assert PowerCuts(1, no_seal).cut_at_every_operation(5_000).losses


def test_a_failing_disk_never_gets_an_approval_that_is_not_on_it() -> None:
    report = FaultReport()
    fail_at_every_operation(1, report, stride=83)
    assert report.violations == []
    assert report.points
