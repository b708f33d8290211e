"""What it costs the backend to tell listening lanes what is new: its one look a second at the tables, for all of them.

The one rule: every lane has a layer, as a lane that sells has; the look is the server's own, upon a SQLite file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from agent.bench.measure import Figure, Size, compare
from agent.bench.props import private_key
from backend import enrollment, snapshots
from backend.database import open_database, transaction
from backend.demo_data import DEMO_LENDER, compose_demo
from backend.identity import LaneName
from backend.lane_state import look
from backend.snapshots import Plan


def looks(directory: Path, size: Size, lanes: int, now_s: int) -> Iterator[Figure]:
    """Processor time; beside the look for one lane, as it is taken when one begins to listen."""
    names, key = [f"lane-{number:06}" for number in range(lanes)], private_key("journal", "p256").public
    with closing(open_database(str(directory / "looks.db"))) as database:
        backend, _ = compose_demo(database, (), clock=lambda: now_s, randomness=os.urandom, plan=Plan())
        with transaction(database):
            for lane in names:
                enrollment.register(LaneName(lane, "merchant-1", "store-1"), key)
        for lane in names:
            snapshots.build(database, lane, backend.lenders[DEMO_LENDER], Plan(), is_base=True, now_s=now_s)
        one, every = compare(size, lambda: look(names[:1], backend.lenders), lambda: look(names, backend.lenders))
    yield Figure(
        f"look for {lanes:,} listening lanes", every.thread_us, "us", every.thread_us / one.thread_us, "one lane's"
    )
