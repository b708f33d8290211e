"""Close the day: the batch's counts and totals, journaled here, matched with the backend's.

The one rule: what is pending, disputed or parked is named, never hidden; a batch that cannot be matched now is closed
all the same and matched when the line is back.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.journal import Draft, Kind
from agent.core.settlement import differences
from agent.errors import UplinkRefused, UplinkUnavailable
from agent.ports import Backend, Ledger
from agent.services.timekeeping import LaneClock


@dataclass(frozen=True, slots=True)
class BatchReport:
    """A closed batch. ``state`` is ``matched``, ``different`` or ``pending`` (the backend could not be asked)."""

    lender: str
    batch: int
    first_number: int
    last_number: int
    chain_head: str
    totals: Mapping[str, Mapping[str, int]]
    state: str
    differences: tuple[str, ...]
    exceptions: int


class Settlement:
    def __init__(self, ledger: Ledger, backend: Backend, clock: LaneClock) -> None:
        self._ledger, self._backend, self._clock = ledger, backend, clock

    def close(self, lender: str) -> dict[str, Any]:
        """Journal the end of the batch; returns what the backend is asked to match."""
        batch, head = self._ledger.open_batch(lender), self._ledger.head
        body = {
            "batch": batch.batch,
            "first_number": batch.first_number,
            "last_number": head.number,
            "totals": {name: dict(total) for name, total in batch.totals.items()},
        }
        self._ledger.record([Draft(Kind.SETTLEMENT, body, lender)], self._clock.read(lender))
        self._backend.poke()
        return body | {"lender": lender, "epoch": head.epoch, "chain_head": _base64url(head.hash)}

    async def match(self, request: Mapping[str, Any]) -> BatchReport:
        """Ask the backend for its half. A backend that is not there, or behind, leaves the batch pending."""
        try:
            answer: Mapping[str, Any] | None = await self._backend.settle(request)
        except (UplinkUnavailable, UplinkRefused):
            answer = None
        found = tuple(differences(request["totals"], answer["totals"])) if answer else ()
        if answer and answer["chain_head"] != request["chain_head"]:
            found = (*found, "chain_head: the two halves end in different entries")
        state = "pending" if answer is None else "different" if found or not answer["matched"] else "matched"
        return BatchReport(
            lender=request["lender"],
            batch=request["batch"],
            first_number=request["first_number"],
            last_number=request["last_number"],
            chain_head=request["chain_head"],
            totals=request["totals"],
            state=state,
            differences=found,
            exceptions=len(self._ledger.queue_exceptions()),
        )


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
