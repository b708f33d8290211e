"""What `status` shows: one lane as JSON values.

The one rule: facts only, nothing personal; whoever reads it can tell whether the lane sells and what to do if not.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from agent.lane import Lane, LaneDesk

SALES_SHOWN: Final = 10


def lane_status(lane: Lane, desk: LaneDesk) -> dict[str, Any]:
    """One screen of facts about the lane, as JSON values."""
    reading = lane.clock.read(lane.lenders.first.lender)
    cursor = lane.ledger.cursor(lane.ledger.head.epoch)
    return {
        "lane": lane.settings.lane,
        "store": lane.settings.store,
        "conditions": [asdict(found) for found in lane.conditions()],
        "link": {"up": lane.backend.available, "detail": desk.link_detail},
        "clock": {"now_s": reading.now_s, "trusted": reading.trusted, "source": reading.source},
        "journal": {
            "epoch": lane.ledger.head.epoch,
            "number": lane.ledger.head.number,
            "head": lane.ledger.head.hash.hex(),
            "lease_horizon": lane.ledger.head.lease_horizon,
        },
        "queue": {
            "depth": lane.forwarding.depth,
            "sent_through": cursor.sent_through,
            "acknowledged_through": cursor.acknowledged_through,
            "exceptions": [
                {"epoch": item.position.epoch, "number": item.position.number, "state": item.state, "why": item.reason}
                for item in lane.ledger.queue_exceptions()
            ],
        },
        "lenders": [
            {
                "lender": lender.lender,
                "name": lender.name,
                "keys_version": lender.keys.version,
                "policy_version": lender.policy.version if lender.policy else None,
                "snapshot_sequence": lender.snapshot_sequence or None,
                "snapshot_built_at": lender.stack.newest.built_at if lender.stack else None,
                "batch": asdict(lane.ledger.open_batch(lender.lender)),
            }
            for lender in lane.lenders.all()
        ],
        "print_jobs_waiting": len(lane.ledger.print_jobs()),
        "recent_sales": [lane.counter.view(hold.sale_id) for hold in lane.ledger.recent_sales(SALES_SHOWN)],
    }
