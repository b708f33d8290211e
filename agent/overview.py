"""What `status` shows: one lane as JSON values, told by the running agent or read from its files.

The one rule: facts only, nothing personal; whoever reads it can tell whether the lane sells and what to do if not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from agent.core.journal import JournalError, Position
from agent.core.trusted_time import ClockReading
from agent.lane import Lane
from agent.lane_desk import LaneDesk
from agent.ports import Ledger
from agent.services.forwarding import unsent
from agent.services.lenders import Lender

SALES_SHOWN: Final = 10


def lane_status(lane: Lane, desk: LaneDesk) -> dict[str, Any]:
    """One screen of facts about the lane, as JSON values."""
    return {
        "lane": lane.settings.lane,
        "store": lane.settings.store,
        "training": lane.settings.is_training,
        "conditions": [asdict(found) for found in lane.conditions()],
        "link": {"up": lane.backend.available, "detail": desk.link_detail},
        "clock": clock_facts(lane.clock.read(lane.lenders.first.lender)),
        **ledger_facts(lane.ledger),
        "lenders": [
            {
                **lender_facts(lender, lane.clock.read(lender.lender)),
                "batch": asdict(lane.ledger.open_batch(lender.lender)),
            }
            for lender in lane.lenders.all()
        ],
        "wallets": [
            {"rail": rail, "name": name, "batch": asdict(lane.ledger.open_batch(rail))}
            for rail, name in lane.settings.rails.items()
        ],
        "print_jobs_waiting": len(lane.ledger.print_jobs()),
        "recent_sales": [lane.counter.view(hold.sale_id) for hold in lane.ledger.recent_sales(SALES_SHOWN)],
    }


def lane_looks(lane: Lane) -> dict[str, Callable[[], dict[str, Any]]]:
    """What listeners are told when it changes, by the type of its event (`services.watch`)."""
    return {
        "conditions": lambda: {"conditions": [asdict(found) for found in lane.conditions()]},
        "devices": lambda: {
            "printer": lane.spooler.condition.reason or "",
            "display": lane.display_failed(),
            "scanners": dict(lane.scanners_failed()),
        },
        "printing": lambda: {"waiting": len(lane.ledger.print_jobs())},
    }


def clock_facts(reading: ClockReading) -> dict[str, Any]:
    """Which time it is and whether it is believed; ``offset_s`` is that time minus the computer's own."""
    return {name: getattr(reading, name) for name in ("now_s", "trusted", "source", "offset_s", "reason")}


def ledger_facts(ledger: Ledger) -> dict[str, Any]:
    """Where the journal ends and what of it, older epochs too, the backend has not acknowledged; ``oldest_at`` None:
    all is. ``sent_through`` and ``acknowledged_through`` are of the open epoch."""
    head, waiting = ledger.head, list(unsent(ledger))
    cursor = ledger.cursor(head.epoch)
    return {
        "journal": {
            "epoch": head.epoch,
            "number": head.number,
            "head": head.hash.hex(),
            "lease_horizons": dict(head.horizons),
        },
        "queue": {
            "depth": sum(count for _, count in waiting),
            "oldest_at": min(filter(None, (_recorded_at(ledger, first) for first, _ in waiting)), default=None),
            "sent_through": cursor.sent_through,
            "acknowledged_through": cursor.acknowledged_through,
            "exceptions": [
                {"epoch": item.position.epoch, "number": item.position.number, "state": item.state, "why": item.reason}
                for item in ledger.queue_exceptions()
            ],
        },
    }


def _recorded_at(ledger: Ledger, position: Position) -> int | None:
    """When an entry was recorded; None if there is none, or none that can be read: the status must be told anyway."""
    try:
        found = ledger.entries_after(position.epoch, position.number - 1, 1)
    except JournalError:
        return None
    return found[0].entry.recorded_at if found else None


def lender_facts(lender: Lender, reading: ClockReading) -> dict[str, Any]:
    """The signed documents of a lender that are in force; ``faults`` says why a newer one is not. ``clock`` is by its
    signed time."""
    policy, newest = lender.policy, lender.stack.newest if lender.stack else None
    return {
        "lender": lender.lender,
        "name": lender.name,
        "currency": lender.keys.currency,
        "clock": clock_facts(reading),
        "keys_version": lender.keys.version,
        "keys_expire_at": lender.keys.expires_at,
        "policy_version": policy.version if policy else None,
        "policy_expires_at": policy.expires_at if policy else None,
        "snapshot_sequence": newest.sequence if newest else None,
        "snapshot_built_at": newest.built_at if newest else None,
        "snapshot_soft_age_s": newest.soft_age_s if newest else None,
        "snapshot_hard_age_s": newest.hard_age_s if newest else None,
        "faults": dict(lender.faults),
    }
