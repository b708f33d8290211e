"""The spool of print jobs: slips waiting for paper, and those that were printed.

The one rule: a job is never deleted and its document never changes; only how far it is moves on.
"""

from __future__ import annotations

from typing import Any, Final

from peewee import Query

from agent.core.print_job import UNPRINTED, PrintJobState
from agent.ports import PrintJob, PrintMark, Slip
from agent.store import fold
from agent.store.connection import LedgerConnection
from agent.store.schema import PrintJob as JobRow
from drivers.document import from_json, to_json

_SELECT_MARKS: Final = fold.sql(
    JobRow.select(JobRow.id, JobRow.state, JobRow.rung, JobRow.reason).where(JobRow.sale_id == "").order_by(JobRow.id)
)
_INSERT_JOB: Final = fold.sql(
    JobRow.insert({name: 0 for name in JobRow._meta.sorted_field_names if name not in ("id", "rung", "reason")})
)


class Spool(LedgerConnection):
    """The part of ``ports.Ledger`` about print jobs."""

    def spool(self, slip: Slip, now_s: int) -> int:
        with self._transaction():
            self._insert_job(slip, now_s)
            job_id: int = self._run("SELECT last_insert_rowid()", ()).fetchone()[0]
        return job_id

    def next_print_job(self) -> PrintJob | None:
        jobs = self._jobs(JobRow.select().where(JobRow.state.in_(UNPRINTED)).order_by(JobRow.id).limit(1))
        return jobs[0] if jobs else None

    def print_jobs(self, sale_id: str | None = None) -> tuple[PrintJob, ...]:
        """Every job of a sale, or all that are not printed yet."""
        chosen = JobRow.state.in_(UNPRINTED) if sale_id is None else (JobRow.sale_id == sale_id)
        return self._jobs(JobRow.select().where(chosen).order_by(JobRow.id))

    def print_marks(self, sale_id: str) -> tuple[PrintMark, ...]:
        rows = self._read(_SELECT_MARKS, (sale_id,)).fetchall()
        return tuple(PrintMark(job_id, PrintJobState(state), *how) for job_id, state, *how in rows)

    def mark_print_job(self, mark: PrintMark) -> None:
        with self._transaction():
            self._mark(mark)

    def _insert_job(self, slip: Slip, now_s: int) -> None:
        self._run(_INSERT_JOB, _job_values(slip, now_s))

    def _mark(self, mark: PrintMark) -> None:
        change = JobRow.update(state=mark.state, rung=mark.rung, reason=mark.reason)
        self._db.execute(change.where(JobRow.id == mark.job_id))

    def _jobs(self, query: Query) -> tuple[PrintJob, ...]:
        return tuple(_job(row) for row in self._query(query))


def _job_values(slip: Slip, now_s: int) -> tuple[Any, ...]:
    document = to_json(slip.document)
    return (
        slip.sale_id,
        slip.lender,
        slip.attempt,
        PrintJobState.QUEUED,
        document,
        int(slip.is_copy),
        now_s,
        slip.expires_at,
    )


def _job(row: tuple[Any, ...]) -> PrintJob:
    job_id, sale_id, lender, attempt, state, document, is_copy, _created_at, expires_at, rung, reason = row
    slip = Slip(from_json(document), expires_at, lender, sale_id, attempt, bool(is_copy))
    return PrintJob(job_id, PrintJobState(state), slip, rung, reason)
