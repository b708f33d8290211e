"""A thousand lane-hours of a fleet in virtual time, and every promise audited: crashes, partitions, wrong clocks, old
ledgers and backends put back from backups."""

import os

import pytest

from agent.simulation.fleet import simulate
from agent.simulation.town import Scale

LANE_HOURS = float(os.environ.get("COUNTERFOIL_LANE_HOURS", "1000"))
SCALES = (
    Scale(hours=10.0),
    Scale(hours=7.0, lanes=3, accounts=3),
    Scale(hours=25.0, lanes=1, sale_every_s=300.0),
    Scale(hours=10.0, ledger_put_back_every_s=3600.0),
    Scale(hours=10.0, backend_put_back_every_s=3600.0),
    Scale(hours=10.0, limit_change_every_s=900.0),
    Scale(hours=8.0, lanes=3, recall_every_s=1800.0, coupon_share=0.7, slip_refund_share=0.5),
    Scale(hours=10.0, replace_every_s=5400.0, recall_every_s=3600.0),
)
RUNS = max(1, round(LANE_HOURS / 22))
SEEDS = range(1000, 1000 + RUNS)

pytestmark = pytest.mark.proof


@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_holds_whatever_goes_wrong(seed: int) -> None:
    run = simulate(seed, SCALES[seed % len(SCALES)])
    assert run.findings.violations == [], f"seed {seed}; last events: {list(run.findings.last_events)}"
    assert run.approved, "a fleet that approves nothing keeps its promises too easily"


def test_a_seed_is_replayed_bit_for_bit() -> None:
    first, second = (simulate(7, Scale(hours=5.0)).findings for _ in range(2))
    assert (first.events, first.trace) == (second.events, second.trace)
    assert simulate(8, Scale(hours=5.0)).findings.trace != first.trace
