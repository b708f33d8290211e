"""Why a sale of this lane ended as it did, from the lane's own ledger.

The one rule: a policy is taken by the lender and version that the entry names, never the one in force now.
"""

from __future__ import annotations

from typing import Any

from agent.core.policy import Policy, read_policy
from agent.core.sale_story import story
from agent.ports import Ledger


def explanation(ledger: Ledger, sale_id: str) -> dict[str, Any] | None:
    """The sale's story as JSON values (``core.sale_story``); None: the journal has nothing of such a sale.

    Raises ledger faults.
    """

    def policy_of(lender: str, version: int) -> Policy | None:
        data = ledger.policy_of_version(lender, version)
        return read_policy(data) if data else None

    entries = [sealed.entry for sealed in ledger.sale_entries(sale_id)]
    if not entries:
        return None
    return {"sale_id": sale_id, "lane": entries[0].lane, "attempts": story(entries, policy_of)}
