"""The auditor is worth believing only if it finds mistakes: each planted bug, within a bounded number of seeds, as the
broken promise that it is; and nothing in the same seeds without it."""

from dataclasses import replace

import pytest

from agent.simulation.fleet import Scale, simulate
from agent.simulation.planted_bugs import BUGS

SEEDS_MAX = 12
SCALE = Scale(hours=8.0)
BREAKS = {
    "show before commit": "promise 1",
    "acknowledge and drop": "promise 2",
    "forget own spends": "promise 4",
    "free the debit at the intent": "promise 4",
    "lapse by the backend's clock": "promise 4",
    "new key on retry": "promise 3",
    "reprint without a mark": "promise 3",
    "repeat as a new attempt": "promise 3",
    "stand in with a restored ledger": "promise 4",
    "grant as if nothing were forgotten": "promise 4",
}
LEDGERS, BACKENDS = replace(SCALE, ledger_put_back_every_s=3600.0), replace(SCALE, backend_put_back_every_s=3600.0)
SCALES = {"stand in with a restored ledger": LEDGERS, "grant as if nothing were forgotten": BACKENDS}

pytestmark = pytest.mark.proof


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_as_the_promise_that_it_breaks(bug: str) -> None:
    for seed in range(SEEDS_MAX):
        with BUGS[bug]():
            violations = simulate(seed, SCALES.get(bug, SCALE)).findings.violations
        if any(f" {BREAKS[bug]}: " in violation for violation in violations):
            return
    pytest.fail(f"{SEEDS_MAX} seeds did not show that {bug!r} breaks {BREAKS[bug]}")


@pytest.mark.parametrize("scale", [SCALE, LEDGERS, BACKENDS], ids=["crashes", "old ledgers", "old backends"])
@pytest.mark.parametrize("seed", range(SEEDS_MAX))
def test_the_same_seeds_without_a_bug_are_clean(seed: int, scale: Scale) -> None:
    assert simulate(seed, scale).findings.violations == []
