"""Lanes for these tests, and books for the backend's."""

from tests.backend.books import books
from tests.services.conftest import opened, till

__all__ = ["books", "opened", "till"]
