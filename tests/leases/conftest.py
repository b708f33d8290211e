"""Lanes for these tests."""

from tests.services.conftest import opened, till

__all__ = ["opened", "till"]
