"""One agent that runs while everything wrong is thrown at it, and lanes on disk to be broken one by one."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.local.client import LocalClient
from tests.cli.lane_on_disk import Command, LaneOnDisk, commanding, opened
from tests.services.lanes import PaperClock, Phone


@pytest.fixture(scope="module")
def shared_lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LaneOnDisk]:
    made = opened(tmp_path_factory.mktemp("lane"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def agent(shared_lane: LaneOnDisk) -> Iterator[LocalClient]:
    with shared_lane.running() as client:
        yield client


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[LaneOnDisk]:
    made = opened(tmp_path)
    yield made
    made.close()


@pytest.fixture
def counterfoil(lane: LaneOnDisk, capsys: pytest.CaptureFixture[str]) -> Command:
    return commanding(lane, capsys)


@pytest.fixture
def phone() -> Phone:
    return Phone(PaperClock(int(time.time())))
