"""Lanes that are closed when their test ends."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.lanes import Till


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Till]]:
    """Opens lanes, each in a directory of its own: ``opened(grants={...}, ready=False, ...)``."""
    tills: list[Till] = []

    def till(**fields: Any) -> Till:
        directory = tmp_path / str(len(tills))
        directory.mkdir()
        tills.append(Till(directory, **fields))
        return tills[-1]

    yield till
    for each in tills:
        each.close()


@pytest.fixture
def till(opened: Callable[..., Till]) -> Till:
    """A lane with a trusted clock, a policy and a lease of 100.00 for one customer; the line is down."""
    return opened()
