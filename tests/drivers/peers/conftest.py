"""Programs of others beside ours, each test on one of its own; where one is not installed, its tests say how it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.peers.till import EMUPOS, MISSING, Till


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    if not EMUPOS.exists():
        pytest.skip(MISSING)
    running = Till(tmp_path)
    yield running
    running.close()
