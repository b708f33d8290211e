"""A lane on disk for the commands of the field."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.lane_on_disk import Command, LaneOnDisk, commanding, opened
from tests.cli.served_lane import config, served

__all__ = ["config", "counterfoil", "lane", "served"]


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[LaneOnDisk]:
    made = opened(tmp_path)
    yield made
    made.close()


@pytest.fixture
def counterfoil(lane: LaneOnDisk, capsys: pytest.CaptureFixture[str]) -> Command:
    return commanding(lane, capsys)
