"""The print spool: slips reach paper one at a time, in order, however often the printer or the process fails.

The one rule: before the first byte leaves, the job is marked ``printing`` on the disk. So a job that a crash finds in
that state may be on paper already, and comes out marked as a copy; never twice unmarked, never silently lost.

    queued --begin--> printing --confirmed, sent--> printed
      |  ^---not started---'   '--doubt, crash--> doubtful --begin--> printing (as a copy)
      '--too old--> expired <--too many doubts-- doubtful
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.core.trusted_time import ClockReading
from agent.ports import Ledger, Printer, PrintJob, PrintMark, PrintResult
from agent.services import entries

JOB_STATES: Final = ("queued", "printing", "printed", "doubtful", "expired")
DOUBTS_MAX: Final = 3
"""Copies of one slip that may end in doubt: a printer that never tells must not print copies all night."""
RETRY_S: Final = 1.0
"""Between two tries on a printer that cannot print now: soon enough after the roll is changed."""

AFTER_PRINTING: Final = {
    "confirmed": "printed",
    "sent_unconfirmed": "printed",
    "doubtful": "doubtful",
    "not_started": "queued",
}


@dataclass(slots=True)
class PrinterCondition:
    """What the last try said: None when all is well, else a reason id and what a person should do."""

    reason: str | None = None
    action: str | None = None


class Spooler:
    """Prints what the ledger has spooled. Without a printer, slips are kept and shown only."""

    def __init__(self, ledger: Ledger, printer: Printer | None, read_clock: Callable[[], ClockReading]) -> None:
        self._ledger, self._printer, self._read_clock = ledger, printer, read_clock
        self._wake = asyncio.Event()
        self._doubts: Counter[int] = Counter()
        self.condition = PrinterCondition()

    def wake(self) -> None:
        """There is a new job."""
        self._wake.set()

    def _recover(self) -> None:
        """After a restart: a job that was being printed may or may not be on paper."""
        for job in self._ledger.print_jobs():
            if job.state == "printing":
                self._ledger.mark_print_job(PrintMark(job.job_id, "doubtful", reason="interrupted"))

    async def run(self) -> None:
        """Print until cancelled. What a crash left half done is put right first, or it would come out unmarked."""
        self._recover()
        if self._printer is None:
            return
        while True:
            self._wake.clear()
            job = self._ledger.next_print_job()
            if job is None:
                await self._wake.wait()
            elif not await self._print(self._printer, job):
                await asyncio.sleep(RETRY_S)

    async def _print(self, printer: Printer, job: PrintJob) -> bool:
        """One try. False: the printer could not take it, wait before the next."""
        if self._read_clock().now_s > job.slip.expires_at:
            self._ledger.mark_print_job(PrintMark(job.job_id, "expired"))
            return True
        is_copy = job.slip.is_copy or job.state == "doubtful"
        self._ledger.mark_print_job(PrintMark(job.job_id, "printing"))
        result = await printer.print_document(job.job_id, job.slip.document, copy=is_copy)
        self.condition = PrinterCondition(result.reason, result.action)
        state = AFTER_PRINTING[result.rung]
        if result.rung == "not_started" and job.state == "doubtful":
            state = "doubtful"
        self._doubts[job.job_id] += result.rung == "doubtful"
        if self._doubts[job.job_id] > DOUBTS_MAX:
            state = "expired"
        self._finish(job, PrintMark(job.job_id, state, result.rung, result.reason), result, is_copy=is_copy)
        return state in ("printed", "expired")

    def _finish(self, job: PrintJob, mark: PrintMark, result: PrintResult, *, is_copy: bool) -> None:
        """Mark the job; paper that came out, or may have, is journaled with the sale."""
        if mark.state != "printed":
            self._ledger.mark_print_job(mark)
            return
        draft = entries.printed(job, result.rung, is_copy=is_copy)
        self._ledger.record([draft], self._read_clock(), printed=mark)
