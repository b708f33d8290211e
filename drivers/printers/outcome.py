"""What became of a print job. Rule: only "confirmed" is done without a doubt, only "doubtful" asks a person.

confirmed          the printer itself said that everything was printed
sent_unconfirmed   all bytes are out and nothing looks wrong, but this printer cannot or did not confirm
doubtful           bytes went out and then something broke: part, all or nothing may be on paper
not_started        not one byte of the job has left: it may be printed again without a mark
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drivers.printers.status import NO_STATUS, PrinterStatus
from drivers.remedies import remedy_for

Rung = Literal["confirmed", "sent_unconfirmed", "doubtful", "not_started"]
Evidence = Literal["process_id", "barrier", "status", "none"]


@dataclass(frozen=True, slots=True)
class PrintOutcome:
    """How far a job came; `reason` is an id of `drivers.remedies`, "" when confirmed; `evidence` is the best proof."""

    rung: Rung
    reason: str = ""
    evidence: Evidence = "none"
    status: PrinterStatus = NO_STATUS

    @property
    def remedy(self) -> str:
        """What a person should do, in English; "" when nothing."""
        return self.remedy_in("en")

    def remedy_in(self, language: str) -> str:
        """What a person should do, in that language."""
        return remedy_for(self.reason, language, doubtful=self.rung == "doubtful")
