"""The pass's own cap: what was sold under it, account by account and store by store. It is the lender's risk.

The one rule: these sales are a ledger of their own. They are counted here and nowhere in used, held or outstanding.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from backend.database import rows
from backend.schema import CapUse, Lane


@dataclass(frozen=True, slots=True)
class Risk:
    """Sales of one account at one store under its pass's own cap, minor units; ``window_minor``: of them, those since
    the beginning of the policy's ``cap_window_s``."""

    merchant: str
    store: str
    sales: int
    total_minor: int
    window_minor: int


def by_store(lender: str, token: bytes, *, since_s: int) -> list[Risk]:
    """In the order of merchants and stores. ``since_s`` (UTC seconds) begins the window."""
    found: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for merchant, store, at_s, minor in rows(
        CapUse.select(Lane.merchant, Lane.store, CapUse.at_s, CapUse.amount_minor)
        .join(Lane, on=(Lane.lane == CapUse.lane))
        .where(CapUse.account == token, CapUse.lender == lender)
    ):
        found[merchant, store].append((at_s, minor))
    return [
        Risk(
            merchant,
            store,
            len(sales),
            sum(minor for _, minor in sales),
            sum(minor for at_s, minor in sales if at_s >= since_s),
        )
        for (merchant, store), sales in sorted(found.items())
    ]
