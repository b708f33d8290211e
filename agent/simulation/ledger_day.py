"""A lane's day as a seeded sequence of ledger calls: what the power-cut and disk-fault rigs disturb.

The one rule: what is possible next is read from the ledger itself, so a day goes on from whatever a fault has left.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from agent.core.authorization import Hold, HoldState
from agent.core.forwarding import Cursor
from agent.core.journal import Draft, Kind, Sealed
from agent.core.print_job import PrintJobState
from agent.core.trusted_time import ClockReading
from agent.ports import PrintMark, QueueException, Slip
from agent.store.ledger import SqliteLedger
from drivers.document import Document, Text

LANE: Final = "lane-1"
LENDER: Final = "lender-1"
ACCOUNTS: Final = tuple(bytes([number]) * 16 for number in range(1, 4))
OPENING_S: Final = 1_750_000_000
SLIP_LIFE_S: Final = 900

Call = Callable[[SqliteLedger], list[Sealed]]


class LedgerDay:
    """Draws the next call. Each is at most one transaction of the ledger and returns the entries that it promises."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._now_s = OPENING_S

    def next_call(self, ledger: SqliteLedger) -> tuple[str, Call]:
        """A name and a call that fits what the ledger holds now."""
        self._now_s += self._random.randrange(1, 90)
        if ledger.head.epoch == 0:
            return "start_epoch", self._start_epoch
        name = self._random.choice(_NAMES)
        call: Call = getattr(self, f"_{name}")
        return name, call

    @property
    def _reading(self) -> ClockReading:
        return ClockReading(self._now_s, True, "signed")

    def _start_epoch(self, ledger: SqliteLedger) -> list[Sealed]:
        draft = Draft(Kind.EPOCH_START, {"certificate": bytes(32), "journal_key": bytes(77), "reason": "enrolled"})
        ledger.start_epoch(LANE, 1, draft, self._reading)
        return ledger.entries_after(1, 0, 1)

    def _intend(self, ledger: SqliteLedger) -> list[Sealed]:
        body = self._sale() | {"scanned_at": self._now_s, "lease": {"epoch": 1, "debit_minor": 500}}
        return self._record(ledger, Kind.ONLINE_INTENT, body, self._sale_id())

    def _hear(self, ledger: SqliteLedger) -> list[Sealed]:
        """The outcome of an open intent: the backend's answer, or a stand-in after none came."""
        intents = ledger.open_intents()
        if not intents:
            return self._intend(ledger)
        hold = self._random.choice(intents)
        kind = self._random.choice((Kind.ONLINE_OUTCOME, Kind.AUTHORIZATION, Kind.DECLINE))
        body = _decided(hold, kind, approved=self._random.random() < 0.8)
        return self._record(ledger, kind, body, hold.sale_id, slip=self._slip(hold.sale_id))

    def _stand_in(self, ledger: SqliteLedger) -> list[Sealed]:
        sale_id, body = self._sale_id(), self._sale()
        body |= _ANSWER | {"lease": {"epoch": 1, "delta_minor": body["amount_minor"]}, "funding": "lease"}
        return self._record(ledger, Kind.AUTHORIZATION, body, sale_id, slip=self._slip(sale_id))

    def _capture(self, ledger: SqliteLedger) -> list[Sealed]:
        return self._end(ledger, Kind.CAPTURE, {})

    def _reverse(self, ledger: SqliteLedger) -> list[Sealed]:
        return self._end(ledger, Kind.REVERSAL, {"reason": "customer_left"})

    def _end(self, ledger: SqliteLedger, kind: Kind, extra: dict[str, Any]) -> list[Sealed]:
        standing = [hold for hold in ledger.recent_sales(20) if hold.state == HoldState.AUTHORIZED]
        if not standing:
            return self._stand_in(ledger)
        hold = self._random.choice(standing)
        body = {"amount_minor": hold.amount_minor, "currency": hold.currency} | extra
        if kind == Kind.REVERSAL:
            body |= {"account": hold.account, "lease": {"epoch": 1, "delta_minor": -hold.lease_minor}}
        return self._record(ledger, kind, body, hold.sale_id)

    def _print(self, ledger: SqliteLedger) -> list[Sealed]:
        job = ledger.next_print_job()
        if job is None:
            return self._stand_in(ledger)
        body = {"job_id": job.job_id, "rung": "acknowledged", "copy": job.slip.is_copy}
        mark = PrintMark(job.job_id, PrintJobState.PRINTED, "acknowledged")
        return self._record(ledger, Kind.PRINT, body, job.slip.sale_id, printed=mark)

    def _begin_to_print(self, ledger: SqliteLedger) -> list[Sealed]:
        job = ledger.next_print_job()
        if job is not None:
            state = self._random.choice((PrintJobState.PRINTING, PrintJobState.DOUBTFUL))
            ledger.mark_print_job(PrintMark(job.job_id, state))
        return []

    def _spool(self, ledger: SqliteLedger) -> list[Sealed]:
        ledger.spool(self._slip(None), self._now_s)
        return []

    def _forward(self, ledger: SqliteLedger) -> list[Sealed]:
        epoch, number = ledger.head.position
        through = min(number, ledger.cursor(epoch).acknowledged_through + self._random.randrange(1, 5))
        disputed = QueueException(ledger.head.position, "disputed", "lease_excess")
        ledger.move_cursor(epoch, Cursor(number, through), [disputed] if self._random.random() < 0.2 else [])
        return []

    def _install(self, ledger: SqliteLedger) -> list[Sealed]:
        version = (ledger.document(LENDER, "policy") or (0, b""))[0] + 1
        ledger.store_document(LENDER, "policy", version, self._random.randbytes(600))
        return []

    def _hear_the_time(self, ledger: SqliteLedger) -> list[Sealed]:
        ledger.set_time_floor(LENDER, self._now_s, self._now_s)
        return []

    def _maintain(self, ledger: SqliteLedger) -> list[Sealed]:
        ledger.maintain(dict.fromkeys(ledger.head.horizons, self._now_s))
        return []

    def _settle(self, ledger: SqliteLedger) -> list[Sealed]:
        batch, last = ledger.open_batch(LENDER), ledger.head.number
        body = {"batch": batch.batch, "first_number": batch.first_number, "last_number": last}
        return self._record(ledger, Kind.SETTLEMENT, body, None)

    def _record(
        self,
        ledger: SqliteLedger,
        kind: Kind,
        body: dict[str, Any],
        sale_id: str | None,
        *,
        slip: Slip | None = None,
        printed: PrintMark | None = None,
    ) -> list[Sealed]:
        draft = Draft(kind, body, LENDER, sale_id, 1 if sale_id else None)
        return ledger.record([draft], self._reading, slip=slip, printed=printed)

    def _sale(self) -> dict[str, Any]:
        return {
            "amount_minor": self._random.randrange(1, 50_000),
            "currency": "CNY",
            "category": "5411",
            "account": self._random.choice(ACCOUNTS),
            "cti": self._random.randbytes(8),
            "code": self._random.randbytes(8),
            "capture": "later",
        }

    def _sale_id(self) -> str:
        return self._random.randbytes(6).hex()

    def _slip(self, sale_id: str | None) -> Slip:
        document = Document((Text(f"sale {sale_id}"), Text("分期付款" * self._random.randrange(1, 60))))
        return Slip(document, self._now_s + SLIP_LIFE_S, LENDER, sale_id, 1)


_ANSWER: Final[dict[str, Any]] = {
    "response_code": "00",
    "reason": "approved_offline",
    "rules": [],
    "policy_version": 1,
    "snapshot_sequence": 1,
    "clock_source": "signed",
    "authorization_code": "A00001",
    "online_unknown": False,
}


def _decided(hold: Hold, kind: Kind, *, approved: bool) -> dict[str, Any]:
    identity = {name: getattr(hold, name) for name in ("amount_minor", "currency", "account", "capture", "code")}
    lease = {"epoch": 1, "delta_minor": hold.open_debit_minor}
    if kind == Kind.AUTHORIZATION:
        return identity | _ANSWER | {"lease": lease, "funding": "lease", "online_unknown": True}
    body = identity | _ANSWER | {"approved": approved and kind == Kind.ONLINE_OUTCOME}
    return body | {"lease": lease if body["approved"] else None}


_NAMES: Final = (
    *("intend", "hear", "hear", "stand_in", "stand_in", "capture", "reverse", "print", "print", "begin_to_print"),
    *("spool", "forward", "install", "hear_the_time", "maintain", "settle"),
)
