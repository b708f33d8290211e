"""The auditor is worth believing only if it finds mistakes: each planted bug, within a bounded number of seeds."""

import pytest

from agent.simulation.fleet import Scale, simulate
from agent.simulation.planted_bugs import BUGS

SEEDS_MAX = 12

pytestmark = pytest.mark.proof


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    for seed in range(SEEDS_MAX):
        with BUGS[bug]():
            if simulate(seed, Scale(hours=8.0)).findings.violations:
                return
    pytest.fail(f"{SEEDS_MAX} seeds did not show what {bug!r} does")
