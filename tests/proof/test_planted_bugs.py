"""The auditor is worth believing only if it finds mistakes: each planted bug, within a bounded number of seeds, as the
broken promise that it is; and nothing in the same seeds without it."""

from dataclasses import replace

import pytest

from agent.simulation.fleet import simulate
from agent.simulation.planted_bugs import BUGS
from agent.simulation.town import Scale

SEEDS_MAX = 12
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
    "share exposure between lenders": "promise 4",
    "grant as if nothing were forgotten": "promise 4",
    "refund as if nothing were given back": "promise 3",
    "forget leases after a limit cut": "promise 4",
}
SCALE = Scale(hours=8.0)
CRASHES = (SCALE, SEEDS_MAX)
HASTY = replace(SCALE, hours=5.0, sale_every_s=150.0, repay_every_s=2400.0, allowance_minor=30_000)
"""Leases that take up the whole limit, and spend it soon: what is forgotten of them shows."""
LEDGERS = (replace(HASTY, ledger_put_back_every_s=900.0), 3)
BACKENDS = (replace(HASTY, repay_every_s=7200.0, backend_put_back_every_s=1800.0), 3)
"""A scenario, and how many of its seeds are tried: as many as are needed for its bugs."""
LIMITS = (replace(HASTY, hours=3.0, accounts=1, limit_change_every_s=300.0, elsewhere_every_s=60.0), 2)
TWO_LENDERS = (replace(HASTY, lenders=2), 2)
SCALES = {
    "share exposure between lenders": TWO_LENDERS,
    "stand in with a restored ledger": LEDGERS,
    "grant as if nothing were forgotten": BACKENDS,
    "forget leases after a limit cut": LIMITS,
}

pytestmark = pytest.mark.proof


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_as_the_promise_that_it_breaks(bug: str) -> None:
    scale, seeds = SCALES.get(bug, CRASHES)
    for seed in range(seeds):
        with BUGS[bug]():
            violations = simulate(seed, scale).findings.violations
        if any(f" {BREAKS[bug]}: " in violation for violation in violations):
            return
    pytest.fail(f"{seeds} seeds did not show that {bug!r} breaks {BREAKS[bug]}")


CLEAN = [(scale, seed) for scale, seeds in (CRASHES, TWO_LENDERS, LEDGERS, BACKENDS, LIMITS) for seed in range(seeds)]


@pytest.mark.parametrize(("scale", "seed"), CLEAN)
def test_the_same_seeds_without_a_bug_are_clean(scale: Scale, seed: int) -> None:
    assert simulate(seed, scale).findings.violations == []
