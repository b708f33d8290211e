"""The operation that makes a kit for the conformance suite.

The one rule: a kit opens accounts and lanes of its own, and touches no other.
"""

from __future__ import annotations

from backend import conformance_kit
from backend.admin.named import chosen_lender
from backend.admin.operation import Answer
from backend.compose import Backend


def make_kit(
    backend: Backend, *, prefix: str, hooks: dict[str, str] | None = None, lender: str | None = None
) -> Answer:
    """A kit whose lanes' names begin with ``prefix``; it holds private keys of test phones."""
    by = chosen_lender(backend, lender).lender
    return {"kit": conformance_kit.make_kit(backend, lender=by, prefix=prefix, hooks=hooks)}
