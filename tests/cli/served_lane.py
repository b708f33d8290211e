"""A running lane for the verbs that ask it, and a configuration that leads to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.served import ServedLane
from tests.services.lanes import Till


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedLane]:
    till = Till(tmp_path)
    yield ServedLane(till)
    till.close()


@pytest.fixture
def config(served: ServedLane) -> Path:
    """A configuration whose lane is the served one."""
    directory = served.path.parent
    path = directory / "agent.toml"
    path.write_text(
        f"""[lane]
state_dir = "{directory}"
run_dir = "{directory}"
[merchant]
name = "Corner Shop"
store_name = "West"
category = "5411"
[backend]
url = "https://backend.test"
"""
    )
    return path
