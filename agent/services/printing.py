"""The print spool: slips reach paper one at a time, in order, however often the printer or the process fails.

The one rule: before the first byte leaves, the job is marked ``printing`` on the disk. So a job that a crash finds in
that state may be on paper already, and comes out marked as a copy; never twice unmarked, never silently lost. How a
job gets from state to state is told in ``core.print_job``.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from agent.core.print_job import FINAL, PrintJobEvent, PrintJobState, next_state
from agent.core.trusted_time import ClockReading
from agent.ports import Ledger, Printer, PrintJob, PrintMark, PrintResult, Slip
from agent.services import entries
from drivers.document import Document

DOUBTS_MAX: Final = 3
"""Copies of one slip that may end in doubt: a printer that never tells must not print copies all night."""
RETRY_S: Final = 1.0
"""Between two tries on a printer that cannot print now: soon enough after the roll is changed."""

EVENT_OF_RUNG: Final[Mapping[str, PrintJobEvent]] = {
    "confirmed": PrintJobEvent.CAME_OUT,
    "sent_unconfirmed": PrintJobEvent.CAME_OUT,
    "doubtful": PrintJobEvent.DOUBT,
    "not_started": PrintJobEvent.HELD_BACK,
}


@dataclass(slots=True)
class PrinterCondition:
    """What the last try said: None when all is well, else a reason id and what a person should do."""

    reason: str | None = None
    action: str | None = None


class Spooler:
    """Prints what the ledger has spooled. Without a printer, slips are kept and shown only.

    ``finished`` makes of a spooled slip the document that goes to paper.
    """

    def __init__(
        self,
        ledger: Ledger,
        printer: Printer | None,
        read_clock: Callable[[], ClockReading],
        finished: Callable[[Slip], Document] = lambda slip: slip.document,
    ) -> None:
        self._ledger, self._printer, self._read_clock, self._finished = ledger, printer, read_clock, finished
        self._wake = asyncio.Event()
        self._doubts: Counter[int] = Counter()
        self.condition = PrinterCondition()

    def add(self, slip: Slip) -> int:
        """Spool a slip that goes with no journal entry; returns its job's number. Raises ledger faults."""
        job_id = self._ledger.spool(slip, self._read_clock().now_s)
        self.wake()
        return job_id

    def wake(self) -> None:
        """There is a new job."""
        self._wake.set()

    def _recover(self) -> None:
        """After a restart: a job that was being printed may or may not be on paper."""
        for job in self._ledger.print_jobs():
            if job.state is PrintJobState.PRINTING:
                state = next_state(job.state, PrintJobEvent.DOUBT)
                self._ledger.mark_print_job(PrintMark(job.job_id, state, reason="interrupted"))

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

    def looked(self, reason: str, action: str) -> None:
        """How the printer is between two slips, seen by whoever looks after it."""
        self.condition = PrinterCondition(reason or None, action or None)

    async def _print(self, printer: Printer, job: PrintJob) -> bool:
        """One try. False: the printer could not take it, wait before the next."""
        if self._read_clock().now_s > job.slip.expires_at:
            self._ledger.mark_print_job(PrintMark(job.job_id, next_state(job.state, PrintJobEvent.LAPSE)))
            return True
        document = self._finished(job.slip)
        is_copy = job.slip.is_copy or job.state is PrintJobState.DOUBTFUL
        self._ledger.mark_print_job(PrintMark(job.job_id, next_state(job.state, PrintJobEvent.BEGIN)))
        result = await printer.print_document(job.job_id, document, copy=is_copy)
        self.condition = PrinterCondition(result.reason, result.action)
        mark = PrintMark(job.job_id, self._state_after(job, result), result.rung, result.reason)
        self._finish(job, mark, result, is_copy=is_copy)
        return mark.state in FINAL

    def _state_after(self, job: PrintJob, result: PrintResult) -> PrintJobState:
        event = EVENT_OF_RUNG[result.rung]
        self._doubts[job.job_id] += event is PrintJobEvent.DOUBT
        if event is PrintJobEvent.HELD_BACK and job.state is PrintJobState.DOUBTFUL:
            event = PrintJobEvent.DOUBT  # nothing of this try is out, but something of one before may be
        state = next_state(PrintJobState.PRINTING, event)
        return next_state(state, PrintJobEvent.LAPSE) if self._doubts[job.job_id] > DOUBTS_MAX else state

    def _finish(self, job: PrintJob, mark: PrintMark, result: PrintResult, *, is_copy: bool) -> None:
        """Mark the job; paper that came out, or may have, is journaled with the sale."""
        if mark.state is not PrintJobState.PRINTED:
            self._ledger.mark_print_job(mark)
            return
        draft = entries.printed(job, result.rung, is_copy=is_copy)
        self._ledger.record([draft], self._read_clock(), printed=mark)
