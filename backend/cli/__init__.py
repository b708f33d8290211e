"""``counterfoil-backend``: run the reference backend, and look after it while it runs."""

from backend.cli.command import main

__all__ = ["main"]
