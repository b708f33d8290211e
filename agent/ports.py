"""What the services need from the world, as Protocols. Adapters implement them; simulations replace them.

The one rule: nothing here names a library, a file or a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from agent.core.authorization import Hold
from agent.core.forwarding import Cursor
from agent.core.journal import Draft, Head, Position, Sealed
from agent.core.operators import Operator
from agent.core.print_job import PrintJobState
from agent.core.recent import Recent, Windows
from agent.core.situation import Totals
from agent.core.slip_refund import SlipRefund
from agent.core.snapshot_reader import Stack, Verify
from agent.core.trusted_time import ClockReading
from agent.core.witness import Witnessed
from drivers.document import Document

EXCEPTIONS_CURSOR: Final = "exceptions_cursor"
EPOCH_REQUEST: Final = "epoch_request"
WITNESSED: Final = "witnessed"
OTHER_TENDERS: Final = "other_tenders"
TRAINING: Final = "training"
NOTES: Final = (EXCEPTIONS_CURSOR, EPOCH_REQUEST, WITNESSED, OTHER_TENDERS, TRAINING)
"""Names of what a lane remembers about itself: where the backend's list of exceptions goes on; the request for a new
epoch that is to be repeated as it was; that there is a witness of the journal's head outside the ledger; what the POS
told of sales without credit, by day; that the ledger is one of training, from its first entry on."""


class Clock(Protocol):
    """Time as the machine tells it; whether to believe it is decided in ``core.trusted_time``."""

    def wall_s(self) -> int: ...

    def monotonic_s(self) -> float:
        """Seconds that count suspended time too."""
        ...


class OperatorBook(Protocol):
    """The lane's operators, kept through restarts. Every call but the last two may raise OperatorsUnreadable."""

    def all(self) -> Mapping[str, Operator]: ...

    def change(self, name: str, become: Callable[[Operator | None], Operator | None]) -> Operator | None:
        """What ``become`` makes of the operator of this name (None: there is none), durably; returned too."""
        ...

    def hashed(self, pin: str) -> str: ...

    def fits(self, pin_hash: str, pin: str) -> bool:
        """Slow on purpose: to be called outside the event loop."""
        ...


class Randomness(Protocol):
    def __call__(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Slip:
    """A document to be printed, of which sale, and how long it is worth printing."""

    document: Document
    expires_at: int
    lender: str | None = None
    sale_id: str | None = None
    attempt: int | None = None
    is_copy: bool = False


@dataclass(frozen=True, slots=True)
class PrintJob:
    """A spooled slip: how far it is, how sure it is that paper came out, and why not."""

    job_id: int
    state: PrintJobState
    slip: Slip
    rung: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PrintMark:
    """A job's new state, how sure it is that paper came out, and why not."""

    job_id: int
    state: PrintJobState
    rung: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class QueueException:
    """An entry that the backend did not simply accept; ``bearer``: lender, merchant or operator, None: not said."""

    position: Position
    state: str
    reason: str
    bearer: str | None = None


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """The settlement batch that is open for a lender."""

    batch: int
    first_number: int
    totals: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class ClosedBatch:
    """A batch that was closed. ``chain_head``: hash of entry ``last_number``."""

    lender: str
    batch: int
    epoch: int
    first_number: int
    last_number: int
    chain_head: bytes
    totals: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries of one epoch, from one number through another."""

    epoch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class WantedSale:
    """Recorded from ``from_s`` until before ``until_s`` (UTC seconds), of this amount, of an account whose masked form
    ends so (``core.receipt.masked``); None: of any."""

    from_s: int
    until_s: int
    amount_minor: int | None = None
    account_tail: str | None = None


class Ledger(Protocol):
    """The lane's durable record. One writer; every method is a short synchronous call.

    Every method may raise LedgerUnavailable (nothing happened); ``record`` may raise LedgerUnknownOutcome, after
    which the process must restart and look the sale up.
    """

    @property
    def head(self) -> Head: ...

    def start_epoch(self, lane: str, epoch: int, draft: Draft, reading: ClockReading) -> None: ...

    def record(
        self,
        drafts: Sequence[Draft],
        reading: ClockReading,
        *,
        slip: Slip | None = None,
        printed: PrintMark | None = None,
    ) -> list[Sealed]:
        """Append entries, fold them, spool or mark a slip: one transaction, one flush; durable on return."""
        ...

    def attempts(self, sale_id: str) -> tuple[Hold, ...]: ...

    def open_intents(self) -> tuple[Hold, ...]: ...

    def holds_due(self, lender: str, now_s: int) -> tuple[Hold, ...]: ...

    def slip_refund(self, lender: str, request: str) -> SlipRefund | None: ...

    def open_slip_refunds(self) -> tuple[SlipRefund, ...]: ...

    def sale_entries(self, sale_id: str) -> list[Sealed]: ...

    def sale_end(self, sale_id: str) -> Position | None:
        """Where the sale's last entry stands; None for a sale without entries."""
        ...

    def newest_shift_entry(self) -> Sealed | None:
        """The last entry that opened or closed a shift; None: there is none."""
        ...

    def spent_after(self, lender: str, account: bytes, position: Position) -> int: ...

    def open_debits(self, lender: str, account: bytes) -> int: ...

    def stand_in_totals(self, lender: str, scope: str, subject: bytes, since_s: int) -> Totals: ...

    def recent(self, lender: str, account: bytes, windows: Windows) -> Recent: ...

    def proof_is_consumed(self, lender: str, account: bytes, cti: bytes) -> bool: ...

    def coupon_sale(self, lender: str, coupon_id: bytes) -> str | None:
        """The sale that uses this coupon up: not declined, reversed, expired or voided."""
        ...

    def open_batch(self, lender: str) -> OpenBatch: ...

    def unmatched_batches(self) -> tuple[ClosedBatch, ...]: ...

    def closed_batch(self, lender: str, batch: int) -> ClosedBatch | None: ...

    def match_of(self, lender: str, batch: int) -> str | None: ...

    def differing_batches(self) -> int: ...

    def record_match(self, lender: str, batch: int, state: str) -> None: ...

    def recent_sales(self, limit: int) -> tuple[Hold, ...]: ...

    def sales_begun(self, within: Stretch, wanted: WantedSale) -> tuple[str, ...]:
        """The ids of such sales whose first entry lies there, newest first."""
        ...

    def entries_after(self, epoch: int, number: int, limit: int) -> list[Sealed]: ...

    def entry_bytes_after(self, epoch: int, number: int, limit: int) -> list[bytes]: ...

    def recorded_between(self, epoch: int, first: int, last: int) -> tuple[int, int]:
        """The earliest and the latest time (UTC seconds) at which one of these entries was recorded."""
        ...

    def cursor(self, epoch: int) -> Cursor: ...

    def move_cursor(self, epoch: int, cursor: Cursor, exceptions: Sequence[QueueException] = ()) -> None: ...

    def queue_exceptions(self) -> tuple[QueueException, ...]: ...

    def record_exceptions(self, exceptions: Sequence[QueueException], cursor: str) -> None:
        """Keep what the backend found later, and where its list goes on: both or neither."""
        ...

    def ends(self) -> tuple[Position, ...]:
        """Where the journal of each epoch ends, oldest first."""
        ...

    def next_print_job(self) -> PrintJob | None: ...

    def print_jobs(self, sale_id: str | None = None) -> tuple[PrintJob, ...]: ...

    def print_marks(self, sale_id: str) -> tuple[PrintMark, ...]:
        """How each job of a sale stands, without its document."""
        ...

    def spool(self, slip: Slip, now_s: int) -> int: ...

    def mark_print_job(self, mark: PrintMark) -> None: ...

    def document(self, lender: str, kind: str) -> tuple[int, bytes] | None: ...

    def documents(self, kind: str) -> Mapping[str, bytes]:
        """The document of this kind of each lender that has one."""
        ...

    def store_document(self, lender: str, kind: str, version: int, data: bytes) -> None: ...

    def policy_of_version(self, lender: str, version: int) -> bytes | None:
        """The signed policy that was in force under this version; None: this ledger never had it."""
        ...

    def keep_policy(self, lender: str, version: int, digest: bytes, data: bytes) -> None:
        """Keep a policy for as long as the journal; ``digest`` is the SHA-256 of ``data``."""
        ...

    def note(self, name: str) -> str | None:
        """What the lane noted about itself under a name of ``NOTES``."""
        ...

    def take_note(self, name: str, text: str | None) -> None:
        """Durable on return; None forgets it."""
        ...

    def time_floor(self, lender: str) -> tuple[int, int | None]:
        """``(floor_s, last_signed_s)``; ``(0, None)`` before the first signed time."""
        ...

    def set_time_floor(self, lender: str, floor_s: int, last_signed_s: int | None) -> None: ...

    def maintain(self, now_s: Mapping[str, int]) -> None:
        """Checkpoint and forget what is no longer needed by each lender's time; called when no sale is waiting."""
        ...


class Witness(Protocol):
    """Remembers the journal's head where no backup of the ledger takes it along."""

    machine: bytes

    def read(self) -> Witnessed | None: ...

    def write(self, said: Witnessed) -> bool:
        """Durable on return; False: it cannot be written."""
        ...


class SnapshotStore(Protocol):
    """The installed layers. Every method may raise ``core.snapshot_layer.SnapshotError``."""

    def open_stack(self, lender: str, verify: Verify, sequence_floor: int = 0) -> Stack | None: ...

    def layer_path(self, lender: str, sequence: int) -> str | None:
        """The file of an installed layer; None if it is not installed (any more)."""
        ...

    def install_ready(self, lender: str, path: str, sequence: int, verify: Verify) -> Stack: ...


@dataclass(frozen=True, slots=True)
class AttemptUnknown:
    """The backend has never seen this attempt."""


class Backend(Protocol):
    """Online questions; requests and answers are the wire's JSON objects. May raise UplinkRefused (it said no).

    UplinkUnavailable means that nothing was sent, so a dead backend costs a sale no time; None means that no answer
    came within the budget: the outcome is unknown.
    """

    @property
    def available(self) -> bool: ...

    async def authorize(self, request: Mapping[str, Any], budget_s: float) -> Mapping[str, Any] | None: ...

    async def inquire(
        self, lender: str, sale_id: str, attempt: int, budget_s: float
    ) -> Mapping[str, Any] | AttemptUnknown | None: ...

    async def refund(self, request: Mapping[str, Any], budget_s: float) -> Mapping[str, Any] | None:
        """POST /v1/refunds; the same request gets the same answer, so asking again is how an outcome is found."""
        ...

    async def settle(self, body: Mapping[str, Any]) -> Mapping[str, Any]: ...

    async def open_epoch(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask for a new epoch (POST /v1/epochs). Raises UplinkUnavailable and UplinkRefused; may be repeated."""
        ...

    def poke(self) -> None:
        """There are new entries to forward."""
        ...


@dataclass(frozen=True, slots=True)
class PrintResult:
    """What became of a slip at the printer: ``rung`` as in ``drivers.printers``; ``action`` is for the cashier."""

    rung: str
    reason: str | None = None
    action: str | None = None


class Printer(Protocol):
    async def print_document(self, job_id: int, document: Document, *, copy: bool) -> PrintResult: ...
