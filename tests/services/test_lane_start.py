"""How a lane starts: what it finds on its disk must be its own."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import LedgerCorrupt
from agent.lane import Lane
from agent.store.snapshot_files import SnapshotFiles
from tests.services.lanes import Till, key


def test_the_ledger_of_another_lane_is_refused_before_anything_is_sold(tmp_path: Path) -> None:
    till = Till(tmp_path)
    with pytest.raises(LedgerCorrupt, match="lane lane-01, not of lane-99"):
        Lane(
            replace(till.lane.settings, lane="lane-99"),
            [till.lender.enrolled()],
            key("journal"),
            ledger=till.ledger,
            snapshots=SnapshotFiles(tmp_path / "other"),
            backend=till.backend,
            printer=None,
            clock=till.clock,
            random_bytes=bytes,
            free_bytes=lambda: 10**12,
        )
    till.close()
