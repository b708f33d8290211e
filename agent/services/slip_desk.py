"""What this lane prints: of a sale and of what becomes of it, of a decline when asked, the day's report, all of it
again.

The one rule: a slip is made from what is recorded, or recorded with it; paper that may be a second one says COPY.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from agent.core.authorization import Hold, HoldState
from agent.core.disclosure import plan_left
from agent.core.insights import outcome_of
from agent.core.journal import Draft, Position
from agent.core.money import Money
from agent.core.print_job import FINAL
from agent.core.receipt import APPROVED, DECLINED, GIVES_BACK, OCCASIONS, Receipt, Seller, masked, receipt_of, slip_code
from agent.core.slip_refund import SlipRefund
from agent.core.trusted_time import ClockReading
from agent.ports import Ledger, Slip
from agent.services import slips
from agent.services.day_report import Closing, day_report
from agent.services.hold_desk import UNKNOWN, Refused
from agent.services.lenders import Lenders
from agent.services.offers import disclosed
from agent.services.settlement import BatchReport
from agent.services.shift_report import ShiftAccount, shift_report
from agent.services.shown_codes import ShownCode
from agent.services.timekeeping import LaneClock
from agent.texts import Language

STILL_WAITING: Final = "slip_waits"
NO_SLIP: Final = "slip_none"


@dataclass(frozen=True, slots=True)
class Heading:
    """What every slip of the lane has in common; ``ttl_s``: how long one is worth printing; ``rails``: the names of
    wallets by id."""

    seller: Seller
    language: Language
    timezone: str
    ttl_s: int
    rails: Mapping[str, str] = field(default_factory=dict)


class SlipDesk:
    """``queue`` spools a slip and gives its job's number. Every call may raise ledger faults."""

    def __init__(
        self, ledger: Ledger, lenders: Lenders, clock: LaneClock, heading: Heading, queue: Callable[[Slip], int]
    ) -> None:
        self._ledger, self._lenders, self._clock = ledger, lenders, clock
        self._heading, self._queue = heading, queue

    def of_change(self, hold: Hold, draft: Draft, reading: ClockReading) -> Slip | None:
        """The slip of what is about to be recorded of a hold; None: nothing is printed of it."""
        occasion, head = OCCASIONS.get(draft.kind), self._ledger.head
        if occasion is None:
            return None
        plan = disclosed(self._ledger, hold) if occasion == APPROVED or occasion in GIVES_BACK else None
        left = plan_left(plan, hold.captured_minor, hold.refunded_minor) if plan and occasion in GIVES_BACK else None
        receipt = replace(
            self._receipt(hold, reading.now_s, Position(head.epoch, head.number + 1), occasion),
            amount=Money(draft.body["amount_minor"], hold.currency),
            plan=plan if occasion == APPROVED else None,
            plan_left_minor=left.total_minor if left else None,
            is_signed=occasion == APPROVED and self._asks_signature(hold),
        )
        # The lane's claim of a sale (rule 17) belongs on the slip of its approval alone, which its attempt tells.
        attempt = hold.attempt if occasion == APPROVED else None
        return self._slip(receipt, reading.now_s, hold.lender, hold.sale_id, attempt)

    def of_refund(self, refund: SlipRefund) -> Slip:
        """The slip of a refund of another lane's sale."""
        head, reading = self._ledger.head, self._clock.read(refund.lender)
        receipt = Receipt(
            seller=self._heading.seller,
            lender=self._name_of(refund.lender),
            sale_id=refund.sale_id,
            amount=Money(refund.amount_minor, refund.currency),
            local_time=slips.local_time(reading.now_s, self._heading.timezone),
            account=masked(None),
            authorization_code="",
            response_code=refund.response_code or "",
            is_online=True,
            is_guaranteed=False,
            entry=Position(head.epoch, head.number + 1),
            code=slip_code(refund.lane, refund.sale_id),
            occasion="refunded",
            sold_at=refund.lane,
        )
        return self._slip(receipt, reading.now_s, refund.lender)

    def print_again(self, sale_id: str) -> int | Refused:
        """Print the newest slip of a sale once more, as a copy; of a declined one, which has none, a slip that says
        so. Returns the job's number."""
        holds, jobs = self._ledger.attempts(sale_id), self._ledger.print_jobs(sale_id)
        if not holds:
            return Refused(UNKNOWN)
        if any(job.state not in FINAL for job in jobs):
            return Refused(STILL_WAITING)
        now_s = self._clock.read(holds[-1].lender).now_s
        if jobs:
            return self._queue(replace(jobs[-1].slip, is_copy=True, expires_at=now_s + self._heading.ttl_s))
        return (
            self._queue(self._of_decline(holds[-1], now_s))
            if holds[-1].state is HoldState.DECLINED
            else Refused(NO_SLIP)
        )

    def print_day(self, report: BatchReport) -> int:
        """Print the report of a closed batch (Z report); as a copy unless it was closed just now."""
        reading, lender = self._clock.read(report.lender), self._lenders.get(report.lender)
        currency = (lender or self._lenders.first).keys.currency
        printed_at = slips.local_time(reading.now_s, self._heading.timezone)
        closing = Closing(report, self._name_of(report.lender), currency, printed_at)
        document = day_report(closing, self._heading.seller, self._heading.language)
        slip = Slip(document, reading.now_s + self._heading.ttl_s, report.lender, is_copy=report.was_closed)
        return self._queue(slip)

    def print_shift(self, account: ShiftAccount, *, is_copy: bool) -> int:
        """Print an open shift's float, or a closed one's count (X report)."""
        named = replace(account, credit={self._name_of(lender): sold for lender, sold in account.credit.items()})

        def local_time(at_s: int) -> str:
            return slips.local_time(at_s, self._heading.timezone)

        document = shift_report(named, self._heading.seller, self._heading.language, local_time)
        now_s = self._clock.read(self._lenders.first.lender).now_s
        return self._queue(Slip(document, now_s + self._heading.ttl_s, is_copy=is_copy))

    def print_code(self, code: ShownCode, left_s: int) -> int:
        """Print the lane's own code for a customer to scan; paper that comes too late is not printed."""
        now_s = self._clock.read(code.lender).now_s
        until = slips.local_time(now_s + left_s, self._heading.timezone)
        document = slips.code_slip(
            code, self._heading.seller, self._name_of(code.lender), until, self._heading.language
        )
        return self._queue(Slip(document, now_s + left_s, code.lender))

    def _of_decline(self, hold: Hold, now_s: int) -> Slip:
        decided = next(
            sealed.entry
            for sealed in reversed(self._ledger.sale_entries(hold.sale_id))
            if sealed.entry.attempt == hold.attempt and outcome_of(sealed.entry) is not None
        )
        receipt = self._receipt(hold, decided.recorded_at, decided.position, DECLINED)
        return self._slip(replace(receipt, reason=hold.reason or ""), now_s, hold.lender, hold.sale_id, hold.attempt)

    def _receipt(self, hold: Hold, at_s: int, entry: Position, occasion: str) -> Receipt:
        return receipt_of(
            hold,
            seller=self._heading.seller,
            lender=self._name_of(hold.lender),
            local_time=slips.local_time(at_s, self._heading.timezone),
            entry=entry,
            occasion=occasion,
        )

    def _slip(
        self, receipt: Receipt, now_s: int, lender: str, sale_id: str | None = None, attempt: int | None = None
    ) -> Slip:
        document = slips.sale_slip(receipt, self._heading.language)
        return Slip(document, now_s + self._heading.ttl_s, lender, sale_id, attempt)

    def _asks_signature(self, hold: Hold) -> bool:
        """Whether the lender's policy wants the customer to sign for this amount."""
        lender = self._lenders.get(hold.lender)
        from_minor = lender.policy.limits.signature_minor if lender and lender.policy else 0
        return 0 < from_minor <= hold.amount_minor

    def _name_of(self, lender: str) -> str:
        known = self._lenders.get(lender)
        return known.name if known else self._heading.rails.get(lender, lender)
