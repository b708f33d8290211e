"""What leasing by plan costs the backend: the plan of a day, and the layers that are cut by it.

The one rule: planner, books (a SQLite file) and layers are the product's own; only the people never lived. Processor
time is what counts, as nobody waits for either.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from agent.bench.measure import Figure
from agent.bench.props import private_key
from backend import enrollment, snapshots
from backend.database import open_database, transaction
from backend.demo_data import DEMO_LENDER, compose_demo
from backend.identity import LaneName
from backend.planner import plans
from backend.planner.rules import Rules
from backend.population import importing, town
from backend.schema import LeaseGrant
from backend.snapshots import Plan

MERCHANT: Final = "merchant-1"
SEED: Final = 1
STORES: Final = 6
LANES: Final = 24
US: Final = 1e6


def leasing(directory: Path, accounts: int, now_s: int) -> Iterator[Figure]:
    """Of a town with a full history at ``LANES`` lanes, none of which has a layer yet."""
    rules = Rules()
    with closing(open_database(str(directory / "leasing.db"))) as database:
        plan = Plan(rules=rules)
        backend, _ = compose_demo(database, (), clock=lambda: now_s, randomness=os.urandom, plan=plan)
        days = rules.history_d
        list(
            importing.run(
                backend, accounts=accounts, lanes=LANES, stores=STORES, days=days, seed=SEED, merchant=MERCHANT
            )
        )
        lanes = [(store.name, lane) for store in town.build(SEED, stores=STORES, lanes=LANES) for lane in store.lanes]
        with transaction(database):
            for store, lane in lanes:
                enrollment.register(LaneName(lane, MERCHANT, store), private_key(lane, "p256").public)
        lender = backend.lenders[DEMO_LENDER]

        def cut() -> None:
            for _, lane in lanes:
                snapshots.build(database, lane, lender, plan, is_base=True, now_s=now_s)

        planned_s = _processor_s(lambda: list(plans.tend(database, DEMO_LENDER, rules, now_s=now_s)))
        cut_s, records = _processor_s(cut), LeaseGrant.select().count()
    yield Figure(f"plan of a day, {accounts:,} accounts: an account", planned_s / accounts * US, "us")
    yield Figure(f"layers of a plan, {records:,} records: a record", cut_s / records * US, "us")
    yield Figure("plan of a day", planned_s * US, "us", planned_s / cut_s, "its first layers")


def _processor_s(task: Callable[[], object]) -> float:
    began_s = time.process_time()
    task()
    return time.process_time() - began_s
