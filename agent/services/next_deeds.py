"""What may be done next with a sale: the names of the calls that would not be refused for the state it is in.

The one rule: derived from the table of ``core.authorization`` and the open batch, never kept beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agent.core.authorization import TRANSITIONS, UNDECIDED, Hold, HoldEvent, HoldState
from agent.core.journal import Kind, Position
from agent.ports import Ledger

CALLS: Final[Mapping[HoldEvent, str]] = {
    HoldEvent.CAPTURE: "capture",
    HoldEvent.REVERSE: "reversal",
    HoldEvent.VOID: "void",
    HoldEvent.REFUND: "refund",
}
"""Behind ``POST /v1/sales/{sale_id}/``."""
REPRINT: Final = "reprint"
CHOOSING: Final = ("choice", "preview", "dismissal")
WAITING: Final = ("dismissal",)
WALLET_ASKED: Final = ("abandonment",)
SHOW_CODE: Final = "merchant-code"
CODE_SHOWN: Final = (*WALLET_ASKED, SHOW_CODE)


def next_deeds(ledger: Ledger, hold: Hold) -> list[str]:
    """Of an attempt as it stands; amounts, roles and a wallet's rail may still refuse. Raises ledger faults."""
    allowed = [call for event, call in CALLS.items() if _allows(ledger, hold, event)]
    return allowed if hold.state in UNDECIDED else [*allowed, REPRINT]


def _allows(ledger: Ledger, hold: Hold, event: HoldEvent) -> bool:
    if event is HoldEvent.VOID and hold.state is HoldState.AUTHORIZED:
        return True  # what is only held is reversed by it
    in_table = (hold.state, event) in TRANSITIONS
    return in_table and (event is not HoldEvent.VOID or is_of_today(ledger, hold))


def is_of_today(ledger: Ledger, hold: Hold) -> bool:
    """Whether the sale's last capture is in the batch that is still open. Raises ledger faults."""
    entries_of_sale = (sealed.entry for sealed in ledger.sale_entries(hold.sale_id))
    captured_at = max((entry.position for entry in entries_of_sale if entry.kind == Kind.CAPTURE), default=None)
    batch = ledger.open_batch(hold.lender)
    return captured_at is not None and captured_at >= Position(ledger.head.epoch, batch.first_number)
