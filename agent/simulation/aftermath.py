"""When everything has healed: nothing waits, both halves are the same bytes, and nobody has cause for a dispute.

The one rule: as in `auditor.py`, it judges by journals, disks and the backend's rows, never by what a service says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agent.lane import Lane
from agent.simulation.auditor import OUTSIDE_THE_BOOKS, Evidence
from agent.simulation.backend_process import WEB
from agent.simulation.lane_process import LaneProcess
from agent.simulation.tally import FOR_PEOPLE, Attempt, Tally
from backend import audit
from backend.lenders import Lender
from backend.schema import Dispute, JournalEntry, QuarantinedEntry

FORGOTTEN_LAYER: Final = "snapshot_unknown"


class Aftermath:
    """``violated`` hears of every broken promise; ``lenders`` are those of the backend."""

    def __init__(
        self, seen: Evidence, tally: Tally, lenders: Mapping[str, Lender], violated: Callable[[str], None]
    ) -> None:
        self._seen, self._tally, self._lenders, self._violated = seen, tally, lenders, violated

    def check_disputes(self) -> None:
        """A stand-in inside its lease is guaranteed, and nothing else here gives cause for a dispute either."""
        disputes = list(Dispute.select().where(Dispute.lane.not_in(self._seen.put_back)))
        replaced = {row.lane for row in disputes if row.reason == FORGOTTEN_LAYER}
        for row in disputes:
            if row.reason in FOR_PEOPLE:
                continue
            is_forgotten = row.reason == OUTSIDE_THE_BOOKS or row.lane in replaced
            if not (self._seen.backend_was_put_back and is_forgotten):
                self._violated(f"promise 4: {row.lane} #{row.number} is disputed: {row.reason}, {row.amount_minor}")

    def check_converged(self, lanes: Sequence[LaneProcess]) -> None:
        """Liveness, and promise 2: after healing nothing waits, and both halves are the same bytes."""
        for lane in lanes:
            if lane.lane is None:
                self._violated(f"{lane.name.lane} did not come back")
                continue
            if depth := lane.lane.forwarding.depth:
                self._violated(f"promise 2: {depth} entries of {lane.name.lane} still wait")
            if lane.lane.forwarding.fork or lane.lane.forwarding.doubt:
                self._violated(f"{lane.name.lane} has not been recovered")
            if pending := lane.lane.ledger.unmatched_batches():
                self._violated(f"{len(pending)} batches of {lane.name.lane} are not matched")
            self._check_kept(lane.lane)
            if lane.name.lane in self._seen.put_back:
                continue
            if jobs := lane.lane.ledger.print_jobs():
                self._violated(f"{len(jobs)} slips of {lane.name.lane} still wait")
            if intents := lane.lane.ledger.open_intents():
                self._violated(f"{len(intents)} sales of {lane.name.lane} have no outcome")
            self._check_halves(lane)
        self._check_backend_holds()
        for finding in audit.findings(self._lenders):
            self._violated(f"at the backend: {finding}")

    def _check_kept(self, lane: Lane) -> None:
        """What is in the lane's ledger, of any epoch, is at the backend: in its journal, or set aside for people."""
        name, ledger = lane.settings.lane, lane.ledger
        kept = {
            bytes(row.data)
            for table in (JournalEntry, QuarantinedEntry)
            for row in table.select().where(table.lane == name)
        }
        mine = (data for end in ledger.ends() for data in ledger.entry_bytes_after(end.epoch, 0, end.number))
        if missing := sum(data not in kept for data in mine):
            self._violated(f"promise 2: {missing} entries of {name} are nowhere at the backend")

    def _check_halves(self, lane: LaneProcess) -> None:
        mine = [sealed.data for sealed in self._seen.journals[lane.name.lane]]
        rows = JournalEntry.select().where(JournalEntry.lane == lane.name.lane).order_by(JournalEntry.number)
        theirs = [bytes(row.data) for row in rows]
        if mine != theirs:
            self._violated(f"promise 2: {lane.name.lane} recorded {len(mine)} entries, the backend holds {len(theirs)}")

    def _check_backend_holds(self) -> None:
        """One hold per sale, with the lane's amount; none that no lane knows of."""
        for lane, sale_id, attempt, _account, amount, held, online, state, _lender in self._seen.backend_rows:
            if lane == WEB.lane or lane in self._seen.put_back:
                continue
            hold = self._seen.holds.get(Attempt(lane, sale_id, attempt))
            if hold is None or online:
                self._violated(
                    f"promise 3: the backend holds {held} for {sale_id}/{attempt}, {lane} knows nothing of it"
                )
            elif hold.is_approved and hold.amount_minor != amount:
                self._violated(f"promise 3: {sale_id}/{attempt} is of {hold.amount_minor} at {lane}, {amount} there")
            elif str(hold.state) != state and not self._tally.by_slip(Attempt(lane, sale_id, attempt)):
                self._violated(f"promise 3: {sale_id}/{attempt} is {hold.state} at {lane} and {state} at the backend")
        self._tally.check_books(self._seen.holds, self._seen.put_back)
