"""One lane put together: ports in, services out. Used by the daemon (``app``) and by the fleet simulation alike.

The one rule: nothing here opens a file or a socket or starts a task; whoever composes a lane gives it its props and
runs its loops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core import cbor, cose
from agent.core.authorization import Hold
from agent.core.journal import Draft, Head, Kind, Position, check_end, walk
from agent.core.receipt import Seller, receipt_of
from agent.core.trusted_time import ClockReading
from agent.errors import LedgerCorrupt
from agent.ports import Backend, Clock, Ledger, Printer, Randomness, Slip, SnapshotStore
from agent.services import slips
from agent.services.checkout import Checkout, Settings
from agent.services.counter import Counter, Events
from agent.services.forwarding import Forwarding
from agent.services.health import Condition, LaneFacts, LimitFacts, conditions, ends_stand_in
from agent.services.lease_desk import LeaseDesk
from agent.services.lenders import EnrolledLender, Lenders
from agent.services.printing import Spooler
from agent.services.settlement import Settlement
from agent.services.standing import Standing
from agent.services.timekeeping import LaneClock
from agent.texts import Language
from agent.uplink.lane_side import DocumentKind, EntryResult, LayerFile, LenderState, LinkState, TimeRequest, Upload

VERIFY_STEP_ENTRIES: Final = 50
"""Entries checked between two looks at what else is to do: a few milliseconds."""


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """Who this lane is and what bounds it. Times in seconds; ``certificate_sha256`` binds the chain's first entry."""

    lane: str
    store: str
    epoch: int
    seller: Seller
    certificate_sha256: bytes
    language: Language = "zh-CN"
    timezone: str = "Asia/Shanghai"
    online_budget_s: float = 1.5
    clock_holdover_max_s: int = 259_200
    print_job_ttl_s: int = 14_400
    queue_entries_max: int = 100_000
    free_bytes_min: int = 200_000_000
    free_bytes_full: int = 16 * 2**20


class Lane:
    """The services of one lane, wired. ``start`` first; then run ``spooler.run`` and serve ``counter``."""

    def __init__(
        self,
        settings: LaneSettings,
        enrolled: Sequence[EnrolledLender],
        journal_key: cose.SigningKey,
        *,
        ledger: Ledger,
        snapshots: SnapshotStore,
        backend: Backend,
        printer: Printer | None,
        clock: Clock,
        random_bytes: Randomness,
        free_bytes: Callable[[], int],
        certificate_expires_at: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.settings, self.ledger, self.backend = settings, ledger, backend
        self._free_bytes, self._journal_key = free_bytes, journal_key
        self._certificate_expires_at = certificate_expires_at
        self.clock = LaneClock(clock, ledger, random_bytes, holdover_max_s=settings.clock_holdover_max_s)
        self._begin_chain(enrolled[0].lender)
        self.lenders = Lenders(settings.lane, enrolled, ledger, snapshots, self.clock)
        self.events = Events()
        self.spooler = Spooler(ledger, printer, self._lane_clock)
        self.forwarding = Forwarding(ledger, journal_key, self.lenders, self.clock, changed=self._queue_changed)
        self.standing = Standing(ledger, changed=self._queue_changed)
        self.settlement = Settlement(ledger, backend, self.clock)
        self.leases = LeaseDesk(settings.lane, ledger, self.lenders, self.clock, backend)
        self.checkout = Checkout(
            Settings(settings.lane, settings.online_budget_s),
            ledger,
            self.lenders,
            self.clock,
            backend,
            make_slip=self._make_slip,
            may_stand_in=lambda: ends_stand_in(self._limits()),
            may_begin=lambda: self._free_bytes() >= settings.free_bytes_full,
            announce=self._announce,
        )
        self.counter = Counter(self.checkout, ledger, self.events, settings.language)

    def _begin_chain(self, lender: str) -> None:
        """The first entry of the enrolled epoch binds the lane's certificate and journal key.

        Raises LedgerCorrupt for the ledger of another lane: its entries would never be accepted as this one's.
        """
        head = self.ledger.head
        if head.epoch and head.lane != self.settings.lane:
            raise LedgerCorrupt(f"this ledger is the one of lane {head.lane}, not of {self.settings.lane}")
        if head.epoch >= self.settings.epoch:
            return
        body = {
            "certificate": self.settings.certificate_sha256,
            "journal_key": self._journal_key.public.to_cose_key(),
            "reason": "enrolled",
        }
        draft = Draft(Kind.EPOCH_START, body)
        self.ledger.start_epoch(self.settings.lane, self.settings.epoch, draft, self.clock.read(lender))

    async def start(self) -> None:
        """Close what the last end of the process left open."""
        await self.checkout.resolve_interrupted()

    async def maintain(self) -> None:
        """What a lane does when nobody waits: tidy the ledger, ask again about closed batches."""
        # Proofs are forgotten by recorded time only: a wall clock far ahead must not open the door to a replay.
        self.ledger.maintain(min(self._lane_clock().now_s, self.ledger.head.lease_horizon))
        await self.checkout.resolve_interrupted()
        await self.settlement.match_pending()

    async def verify_chain(self) -> Head:
        """Walk the journal of the open epoch from its first entry, in steps that no sale notices.

        Returns the head that the entries lead to. Raises JournalError at the first broken link.
        """
        end = self.ledger.head
        head = Head(end.lane, end.epoch)
        while head.number < end.number:
            step = min(VERIFY_STEP_ENTRIES, end.number - head.number)
            entries = self.ledger.entry_bytes_after(end.epoch, head.number, step)
            if not entries:
                break
            head = walk(head, entries)
            await asyncio.sleep(0)
        check_end(head, end)
        return head

    def facts(self) -> LaneFacts:
        reading = self._lane_clock()
        return LaneFacts(
            link_up=self.backend.available,
            clock_trusted=reading.trusted,
            clock_reason=reading.reason,
            limits=self._limits(),
            printer_reason=self.spooler.condition.reason,
            printer_action=self.spooler.condition.action,
            exceptions=self.forwarding.exceptions,
            batches_pending=len(self.ledger.unmatched_batches()),
            batches_different=self.ledger.differing_batches(),
            lenders=self.lenders.all(),
            now_s=reading.now_s,
            certificate_expires_at=self._certificate_expires_at(),
        )

    def _limits(self) -> LimitFacts:
        return LimitFacts(
            queue_depth=self.forwarding.depth,
            queue_entries_max=self.settings.queue_entries_max,
            free_bytes=self._free_bytes(),
            free_bytes_min=self.settings.free_bytes_min,
            free_bytes_full=self.settings.free_bytes_full,
            forked=self.forwarding.fork is not None,
            access_refusal=self.standing.refusal,
        )

    def conditions(self) -> tuple[Condition, ...]:
        return conditions(self.facts())

    def _lane_clock(self) -> ClockReading:
        return self.clock.read(self.lenders.first.lender)

    def _make_slip(self, hold: Hold, reading: ClockReading) -> Slip:
        head, lender = self.ledger.head, self.lenders.get(hold.lender)
        receipt = receipt_of(
            hold,
            seller=self.settings.seller,
            lender=lender.name if lender else hold.lender,
            local_time=slips.local_time(reading.now_s, self.settings.timezone),
            entry=Position(head.epoch, head.number + 1),
        )
        document = slips.sale_slip(receipt, self.settings.language)
        return Slip(document, reading.now_s + self.settings.print_job_ttl_s, hold.lender, hold.sale_id, hold.attempt)

    def _announce(self, hold: Hold) -> None:
        self.spooler.wake()
        self.counter.announce(hold)

    def _queue_changed(self) -> None:
        self.events.publish("queue", {"depth": self.forwarding.depth})


class LaneDesk:
    """What the uplink process may ask of a lane: ``uplink.lane_side.LaneSide`` over the services."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self.link_detail = ""

    async def lenders(self) -> Sequence[LenderState]:
        return [
            LenderState(
                lender.lender,
                cbor.encode(lender.root.to_cose_key()),
                lender.signed_keys,
                lender.sound_layers,
                self._lane.clock.read(lender.lender).now_s,
            )
            for lender in self._lane.lenders.all()
        ]

    async def next_upload(self, entries_max: int, bytes_max: int) -> Upload | None:
        upload = self._lane.forwarding.next_upload(entries_max, bytes_max)
        return Upload(upload.epoch, upload.first, upload.entries, upload.signature) if upload else None

    async def acknowledged(self, epoch: int, through: int, results: Sequence[EntryResult]) -> None:
        rows = [(result.number, result.result, result.reason) for result in results]
        self._lane.forwarding.acknowledged(epoch, through, rows)

    async def rewind(self, epoch: int, expected: int) -> bool:
        return self._lane.forwarding.rewind(epoch, expected)

    async def fork(self, epoch: int, expected: int | None, head: bytes | None) -> None:
        del head  # the recovery asks the backend for it again, with an operator present
        self._lane.forwarding.forked(epoch, expected)

    async def time_request(self, lender: str) -> TimeRequest:
        return TimeRequest(self._lane.forwarding.ask_time(lender), self._lane.forwarding.depth)

    async def signed_time(self, lender: str, nonce: bytes, data: bytes) -> bool:
        return self._lane.forwarding.signed_time(lender, nonce, data)

    async def document(self, kind: DocumentKind, lender: str, data: bytes) -> bool:
        if kind is DocumentKind.KEYS:
            return self._lane.lenders.install_keys(lender, data)
        return self._lane.lenders.install_policy(lender, data)

    async def snapshot_ready(self, lender: str, sequence: int, layers: Sequence[LayerFile]) -> bool:
        del sequence  # the last layer's, and each layer is checked against its own
        return self._lane.lenders.install_snapshot(lender, [(layer.sequence, layer.path) for layer in layers])

    async def recall(self, lender: str, accounts: Sequence[bytes], reason: str) -> Sequence[bytes]:
        return await self._lane.leases.recalled(lender, accounts, reason)

    async def link(self, state: LinkState, detail: str) -> None:
        self.link_detail = detail
        self._lane.events.publish("link", {"state": str(state), "detail": detail})

    async def access(self, refusal: str | None) -> None:
        self._lane.standing.told(refusal)
