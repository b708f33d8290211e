"""One lane put together: ports in, services out. Used by the daemon (``app``) and by the fleet simulation alike.

The one rule: nothing here opens a file or a socket or starts a task; whoever composes a lane gives it its props and
runs its loops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agent.core import cose
from agent.core.authorization import Hold
from agent.core.journal import Draft, Head, Kind, check_end, walk
from agent.core.lane_report import InForce, Report
from agent.core.receipt import Seller
from agent.core.slip_refund import SlipRefund
from agent.core.trusted_time import ClockReading
from agent.core.witness import LOST
from agent.errors import LedgerCorrupt, TrainingMixed
from agent.ports import TRAINING, WITNESSED, Backend, Clock, Ledger, Printer, Randomness, SnapshotStore, Witness
from agent.services.checkout import Checkout, Settings
from agent.services.counter import Counter
from agent.services.earlier_sales import EarlierSales
from agent.services.events import Events
from agent.services.forwarding import Forwarding
from agent.services.health import Condition, LaneFacts, LimitFacts, conditions, ends_stand_in
from agent.services.hold_desk import HoldDesk
from agent.services.insights import Insights
from agent.services.introductions import Introducer
from agent.services.lease_desk import LeaseDesk
from agent.services.lenders import EnrolledLender, Lenders
from agent.services.offers import Offers
from agent.services.outcomes import Outcomes
from agent.services.printing import Spooler
from agent.services.restoration import Restoration
from agent.services.settlement import Settlement
from agent.services.shifts import Shifts
from agent.services.shown_codes import Sign
from agent.services.slip_desk import Heading, SlipDesk
from agent.services.slip_refunds import SlipRefunds
from agent.services.slips import Claims
from agent.services.standing import Standing
from agent.services.timekeeping import LaneClock
from agent.services.wallets import Patience
from agent.services.witness import BEGUN, HeadWitness
from agent.texts import Language
from agent.uplink.lane_side import LinkState

VERIFY_STEP_ENTRIES: Final = 50
"""Entries checked between two looks at what else is to do: a few milliseconds."""


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """Who this lane is and what bounds it. Times in seconds; ``certificate_sha256`` binds the chain's first entry.

    ``epoch_reason``: enrolled or replaced; ``previous``: how the epoch before ended at the backend, as journaled.
    ``rails`` are the wallets that the backend serves, their names by id; ``sign``: whom codes pay that the lane shows.
    ``is_training``: nothing here is real money.
    """

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
    epoch_reason: str = "enrolled"
    previous: Mapping[str, Any] | None = None
    version: str = ""
    rails: Mapping[str, str] = field(default_factory=dict)
    is_training: bool = False
    patience: Patience = field(default_factory=Patience)
    sign: Sign | None = None


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
        witness: Witness | None = None,
        introducer: Introducer | None = None,
    ) -> None:
        self.settings, self.ledger, self.backend, self.snapshots = settings, ledger, backend, snapshots
        self._free_bytes, self._journal_key = free_bytes, journal_key
        self._certificate_expires_at = certificate_expires_at
        self.clock = LaneClock(
            clock, ledger, random_bytes,
            holdover_max_s=settings.clock_holdover_max_s, of_rails=enrolled[0].lender,
        )  # fmt: skip
        self._keep_apart()
        self._begin_chain(enrolled[0].lender, is_witnessed=witness is not None)
        self.witness = HeadWitness(ledger, witness)
        self.link = LinkState.DOWN
        self.scanners_failed: Callable[[], Mapping[str, str]] = dict
        """The reason of each scanner that cannot read now; set by whoever opens them."""
        self.display_failed: Callable[[], str] = str
        """The reason why the customer's display shows nothing now, else ""; set by whoever opens it."""
        self.http_failed: Callable[[], str] = str
        """Why page and POS software find nobody on this computer's HTTP port, else ""; set by whoever serves it."""
        self.lenders = Lenders(
            settings.lane, enrolled, ledger, snapshots, self.clock,
            introducer=introducer, is_training=settings.is_training,
        )  # fmt: skip
        self.events = Events()
        self.spooler = Spooler(ledger, printer, self._lane_clock, Claims(ledger, journal_key).printed)
        self.forwarding = Forwarding(
            ledger, journal_key, self.lenders, self.clock,
            changed=self._queue_changed, doubt=self.witness.doubt, confirmed=self.witness.confirmed,
        )  # fmt: skip
        if self.witness.doubt in LOST and self.forwarding.fork is None:
            self.forwarding.forked(ledger.head.epoch, None)
        self.standing = Standing(ledger, changed=self._queue_changed)
        self.slips = SlipDesk(
            ledger, self.lenders, self.clock,
            Heading(
                settings.seller, settings.language, settings.timezone, settings.print_job_ttl_s, settings.rails
            ),
            queue=self.spooler.add,
        )  # fmt: skip
        self._open_desks(ledger, backend, settings)

    def _open_desks(self, ledger: Ledger, backend: Backend, settings: LaneSettings) -> None:
        """What serves the counter, upon what the lane knows and writes."""
        self.settlement = Settlement(ledger, backend, self.clock)
        self.leases = LeaseDesk(settings.lane, ledger, self.lenders, self.clock, backend)
        outcomes = Outcomes(ledger, self.lenders, backend, self.slips.of_change, self._announce)
        self.checkout = Checkout(
            Settings(
                settings.lane,
                settings.online_budget_s,
                frozenset(settings.rails),
                settings.patience,
                settings.sign,
                settings.timezone,
            ),
            ledger,
            self.lenders,
            self.clock,
            backend,
            offers=Offers(ledger, self.clock, settings.timezone, settings.language),
            outcomes=outcomes,
            may_stand_in=lambda: ends_stand_in(self._limits()),
            may_begin=lambda: self._free_bytes() >= settings.free_bytes_full,
        )
        self.holds = HoldDesk(ledger, self.lenders, self.clock, outcomes, self.checkout.between_sales)
        self.slip_refunds = SlipRefunds(
            ledger, self.clock, backend, self.checkout.between_sales,
            make_slip=self.slips.of_refund, announce=self._announce_refund,
        )  # fmt: skip
        self.restoration = Restoration(
            ledger, backend, self.clock,
            checkout=self.checkout, forwarding=self.forwarding, binding=self._binding,
        )  # fmt: skip
        self.counter = Counter(self.checkout, ledger, self.events, settings.language)
        self.shifts = Shifts(ledger, backend, self._lane_clock)
        self.earlier = EarlierSales(ledger, settings.timezone)
        self.insights = Insights(
            ledger, lambda: self._lane_clock().now_s, settings.timezone, settings.language,
            currency=lambda: self.lenders.first.keys.currency,
        )  # fmt: skip

    @property
    def _binding(self) -> dict[str, Any]:
        """What the first entry of an epoch binds: the lane's certificate and journal key."""
        return {
            "certificate": self.settings.certificate_sha256,
            "journal_key": self._journal_key.public.to_cose_key(),
        }

    def _keep_apart(self) -> None:
        """A ledger says from before its first entry on whether it is one of training. Raises TrainingMixed."""
        if self.settings.is_training and not self.ledger.head.epoch:
            self.ledger.take_note(TRAINING, self.settings.lane)
        if (self.ledger.note(TRAINING) is not None) != self.settings.is_training:
            raise TrainingMixed(f"This ledger is one of {'real sales' if self.settings.is_training else 'training'}.")

    def _begin_chain(self, lender: str, *, is_witnessed: bool) -> None:
        """Begin the enrolled epoch unless it has begun: in doubt, because it may take the place of one that was lost.

        Raises LedgerCorrupt for the ledger of another lane: its entries would never be accepted as this one's.
        """
        head = self.ledger.head
        if head.epoch and head.lane != self.settings.lane:
            raise LedgerCorrupt(f"this ledger is the one of lane {head.lane}, not of {self.settings.lane}")
        if head.epoch >= self.settings.epoch:
            return
        if is_witnessed:
            self.ledger.take_note(WITNESSED, BEGUN)
        body = {**self._binding, "reason": self.settings.epoch_reason, "previous": self.settings.previous}
        draft = Draft(Kind.EPOCH_START, body)
        self.ledger.start_epoch(self.settings.lane, self.settings.epoch, draft, self.clock.read(lender))

    async def start(self) -> None:
        """Close what the last end of the process left open."""
        while await self.checkout.look_after_interrupted():  # noqa: ASYNC110  the question itself is what is repeated
            await asyncio.sleep(self.settings.patience.poll_s)

    async def maintain(self) -> None:
        """What a lane does when nobody waits: tidy the ledger, end holds that nobody captured, ask again about closed
        batches."""
        # Proofs are forgotten by recorded time only: a wall clock far ahead must not open the door to a replay.
        recorded = self.ledger.head.horizons.items()
        self.ledger.maintain({lender: min(self.clock.read(lender).now_s, at_s) for lender, at_s in recorded})
        self.witness.look()
        await self.checkout.look_after_interrupted()
        await self.slip_refunds.resolve_interrupted()
        await self.holds.expire_due()
        await self.settlement.match_pending()
        await self.leases.tend()

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
            link_up=self.backend.available or self.link is LinkState.RECOVERING,
            backend_recovering=self.link is LinkState.RECOVERING,
            clocks={lender.lender: self.clock.read(lender.lender) for lender in self.lenders.all()},
            limits=self._limits(),
            printer_reason=self.spooler.condition.reason,
            printer_action=self.spooler.condition.action,
            exceptions=self.forwarding.exceptions,
            batches_pending=len(self.ledger.unmatched_batches()),
            batches_different=self.ledger.differing_batches(),
            lenders=self.lenders.all(),
            now_s=reading.now_s,
            certificate_expires_at=self._certificate_expires_at(),
            scanners=self.scanners_failed(),
            display=self.display_failed(),
            http=self.http_failed(),
        )

    def _limits(self) -> LimitFacts:
        return LimitFacts(
            queue_depth=self.forwarding.depth,
            queue_entries_max=self.settings.queue_entries_max,
            free_bytes=self._free_bytes(),
            free_bytes_min=self.settings.free_bytes_min,
            free_bytes_full=self.settings.free_bytes_full,
            forked=self.forwarding.fork is not None,
            doubt=self.forwarding.doubt,
            access_refusal=self.standing.refusal,
        )

    def report(self, lender: str, nonce: bytes) -> dict[str, Any]:
        """What a heartbeat says of this lane, by the names of the wire; what a backend acts on is signed."""
        reading, said = self.clock.read(lender), self._said(nonce)
        printer = self.spooler.condition.reason
        return {
            "epoch": said.epoch,
            "number": said.number,
            "acknowledged_through": said.acknowledged_number,
            "queue_depth": self.forwarding.depth,
            "installed": {name: _in_force_to_wire(has) for name, has in said.in_force.items()},
            "signature": said.signed(self._journal_key),
            "devices": {"printer": printer or "ready", **self.scanners_failed()},
            "versions": {"agent": self.settings.version},
            "clock_offset_s": reading.offset_s if reading.trusted else None,
        }

    def _said(self, nonce: bytes) -> Report:
        head = self.ledger.head
        acknowledged = self.ledger.cursor(head.epoch).acknowledged_through
        in_force = {row.lender: row.in_force for row in self.lenders.all()}
        return Report(self.settings.lane, nonce, head.epoch, head.number, acknowledged, in_force)

    def conditions(self) -> tuple[Condition, ...]:
        return conditions(self.facts())

    def _lane_clock(self) -> ClockReading:
        return self.clock.read(self.lenders.first.lender)

    def _announce_refund(self, refund: SlipRefund) -> None:
        self.spooler.wake()
        self.events.publish("refund", self.counter.views.refund_view(refund))

    def _announce(self, hold: Hold) -> None:
        self.spooler.wake()
        self.counter.announce(hold)
        if hold.account is not None:
            self.leases.used(hold.lender, hold.account)

    def _queue_changed(self) -> None:
        self.events.publish("queue", {"depth": self.forwarding.depth})


def _in_force_to_wire(has: InForce) -> dict[str, Any]:
    return {
        "sequence": has.sequence,
        "digest": has.digest,
        "keys": has.keys_version,
        "policy": has.policy_version,
    }
