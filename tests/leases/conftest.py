"""Lanes for these tests, and books for the backend's."""

from collections.abc import Iterator

import pytest

from tests.backend.books import books
from tests.backend.lanes import Shop
from tests.services.conftest import opened, till

__all__ = ["books", "opened", "till"]


@pytest.fixture
def shop(books: str) -> Iterator[Shop]:
    """One account whose whole limit of 100 may be leased; at the end the books must be right."""
    opened = Shop.open(books, 100, allowance_minor=100)
    yield opened
    assert opened.findings() == []
    opened.close()
