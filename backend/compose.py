"""The backend as one object: database, clock, randomness, authority, lenders, rails; every call, in its transactions.

The one rule: time and randomness come from here and nowhere else, so that a simulator can run it in its own time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from peewee import Database

from backend import (
    access,
    authorizations,
    certificates,
    claims,
    enrollment,
    epochs,
    expiry,
    ingest,
    inquiries,
    lanes,
    layers_again,
    poster,
    quarantine,
    recalls,
    recovery,
    refunds,
    settlement,
    shown_codes,
    snapshots,
    strangers,
    tide,
)
from backend.access import Access, Call
from backend.database import is_shared, transact, transaction
from backend.entries import Books
from backend.holds import Attempt
from backend.identity import Authority, LaneName
from backend.ingest import Stored, Upload
from backend.lenders import InForce, Lender, Randomness
from backend.planner import plans
from backend.problems import Problem
from backend.rails.rail import Rail
from backend.schema import SnapshotLayer
from backend.snapshots import Plan
from backend.standstills import Standstills
from backend.tide import Watermark
from backend.wallets import Wallets
from backend.wire import (
    AuthorizationRequest,
    Enrollment,
    Heartbeat,
    NewEpoch,
    RefundRequest,
    SettlementRequest,
    b64url,
    from_b64url,
    rfc3339,
    write,
)

AT_ONCE_ENTRIES_MAX: Final = 100
"""A journal that is no further behind is posted before an upload is answered, so that its lane hears of disputes."""

SETTLED_ENTRIES_MAX: Final = 2_000
"""How much of a journal is posted for one settlement; what is further behind waits for the poster."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Every call of the lane protocol; ``lane`` is always the one that the certificate names. All raise Problem."""

    database: Database
    clock: Callable[[], int]
    randomness: Randomness
    authority: Authority
    lenders: Mapping[str, Lender]
    plan: Plan
    rails: Mapping[str, Rail] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)
    """Lanes that have said what they have since this process began. Only these are granted anything: restored books
    would give another layer the sequence of one that they have forgotten."""
    stopped: Standstills = field(default_factory=Standstills)
    watermark: Watermark = field(default_factory=Watermark)
    asked: set[tuple[str, str]] = field(default_factory=set)
    """Who asks for more than is leased: lane and lender. A hint, so it may be lost: the next refresh sees to all."""

    @property
    def wallets(self) -> Wallets:
        return Wallets(self.database, self.rails, self.clock, self.randomness)

    def lender(self, lender: str) -> Lender:
        try:
            return self.lenders[lender]
        except KeyError:
            raise Problem("lender_unknown", lender) from None

    def lender_at(self, lender: str, merchant: str) -> Lender:
        """A lender that serves this merchant's lanes; what another one has promised before is still taken in."""
        known = self.lender(lender)
        if not known.serves(merchant):
            raise Problem("lender_unknown", f"{lender} does not serve {merchant}")
        return known

    def admit(self, name: LaneName, call: Call) -> None:
        """Whether the device with this certificate may make the call."""
        access.admit(name, call, now_s=self.clock())

    def renew(self, csr: str, name: LaneName) -> bytes:
        with transaction(self.database):
            return certificates.renew(csr, name, self.authority, now_s=self.clock())

    def start_epoch(self, request: NewEpoch, raw: bytes, lane: str) -> bytes:
        with transaction(self.database):
            return epochs.start(request, raw, lane)

    def enroll(self, request: Enrollment) -> bytes:
        with transaction(self.database):
            lane, answer = enrollment.enroll(request, self.authority, self.lenders, self.rails, now_s=self.clock())
        self.heard.add(lane)  # of a journal that begins here, nothing can have been forgotten
        return answer

    def introductions(self, name: LaneName) -> bytes:
        return enrollment.introductions(self.lenders, self.authority, name)

    def authorize(self, request: AuthorizationRequest, raw: bytes, lane: str) -> bytes:
        lender = self.lender(request.lender)
        self._check_sound()

        def decide() -> bytes:
            lanes.of_epoch(lane, request.epoch)
            return authorizations.authorize(request, raw, lane, lender=lender, now_s=self.clock())

        return transact(self.database, decide)

    def show_code(self, request: AuthorizationRequest, raw: bytes, lane: str) -> bytes:
        """Register a code that the lane shows; how its attempt stands."""
        lender = self.lender(request.lender)
        self._check_sound()

        def register() -> bytes:
            lanes.of_epoch(lane, request.epoch)
            return shown_codes.register(request, raw, lane, lender=lender, now_s=self.clock())

        return transact(self.database, register)

    def pay_code(self, text: str, lender: str, account: bytes) -> bytes:
        """Pay a code that a lane shows, as the lender's app does. Raises CodeRefused too."""
        by = self.lender(lender)
        self._check_sound()
        return transact(self.database, lambda: shown_codes.pay(text, account, lender=by, now_s=self.clock()))

    def inquire(self, key: Attempt) -> bytes:
        """How an attempt stands. One that shows a code may have ended with time, and that is kept."""
        stored = authorizations.stored(key)
        if stored is not None:
            return bytes(stored.answer)
        if key.lender not in self.lenders:
            raise Problem("authorization_unknown")
        lender = self.lender(key.lender)
        return transact(self.database, lambda: shown_codes.inquire(key, lender=lender, now_s=self.clock()))

    def ingest(self, upload: Upload, name: LaneName | None = None) -> bytes:
        """Store first, and acknowledge what is stored; post at once what is little, the rest is the poster's.

        ``name`` is of the certificate that was shown; None inside of this process.
        """
        shown = name or LaneName(upload.lane, "", "")
        taken = transact(self.database, lambda: self._take(upload, shown))
        if isinstance(taken, bytes):
            return taken
        row = lanes.journal(upload.lane, upload.epoch)
        if row.number - row.posted_number <= AT_ONCE_ENTRIES_MAX:
            self._post(upload.lane, upload.epoch, AT_ONCE_ENTRIES_MAX)
        return write(ingest.answer(taken))

    def _take(self, upload: Upload, name: LaneName) -> bytes | Stored:
        row = strangers.journal_of(upload, name, now_s=self.clock())
        if row.state in lanes.DISBELIEVED:
            return write(quarantine.take(upload, row, now_s=self.clock()))
        return ingest.store(upload)

    def notice_put_back(self) -> bool:
        """Whether books on a server have just been put back to an earlier day; then this backend recovers, and grants
        to nobody before it is heard again. Called from time to time, and before all else on a new connection."""
        if not is_shared(self.database):
            return False

        def look() -> int:
            count = tide.rise()
            if self.watermark.is_above(count):
                recovery.begin(tide.PUT_BACK, now_s=self.clock())
            return count

        count = transact(self.database, look)
        is_back = self.watermark.is_above(count)
        self.watermark.keep(count, self.database.connection())
        if is_back:
            self.heard.clear()
        return is_back

    def _check_sound(self) -> None:
        """Raises Problem("recovering") while what these books say of leases may be too little."""
        self._look_at_new_connection()
        recovery.check_over()

    def _is_sound(self) -> bool:
        """The same as a value: a backend that recovers grants nothing, also if it learnt of it a step ago."""
        self._look_at_new_connection()
        return recovery.started_at() is None

    def _look_at_new_connection(self) -> None:
        if is_shared(self.database) and self.watermark.is_due(self.database.connection()):
            self.notice_put_back()

    def post_pending(self, entries_max: int) -> int:
        """Bring up to ``entries_max`` stored entries into effect; how many there were. Called from time to time."""
        return poster.post_pending(self.database, self._books(), self.stopped, entries_max=entries_max)

    def release_expired(self) -> int:
        """End holds that nobody captured in time; how many there were. Called from time to time."""
        return expiry.release_due(self.database)

    def _post(self, lane: str, epoch: int, entries_max: int) -> None:
        poster.post_journal(self.database, lane, epoch, self._books(), self.stopped, entries_max=entries_max)

    def _books(self) -> Books:
        return Books(self.lenders, self.clock(), self.asked)

    def settle(self, request: SettlementRequest, lane: str) -> bytes:
        rail = self.rails.get(request.lender)
        if rail is None:
            self.lender(request.lender)
        row = lanes.journal(lane, request.epoch)
        if recovery.started_at() is not None:
            raise Problem("journal_behind", "the backend is recovering", acknowledged_through=row.number)
        if row.posted_number < min(request.last_number, row.number):
            self._post(lane, request.epoch, SETTLED_ENTRIES_MAX)
        return transact(self.database, lambda: settlement.settle(request, lane, now_s=self.clock(), rail=rail))

    def exceptions(self, lane: str, after: str) -> bytes:
        currencies = {known.lender: known.currency for known in self.lenders.values()}
        currencies |= {rail.rail: rail.currency for rail in self.rails.values()}
        return write(inquiries.exceptions(lane, after, currencies))

    def refundable(self, asking: str, lane: str, sale_id: str, lender: str) -> bytes:
        return write(inquiries.refundable(asking, lane, sale_id, self.lender(lender)))

    def refund(self, request: RefundRequest, raw: bytes, lane: str) -> bytes:
        """Set a refund aside that a lane asks for of another lane's sale."""
        lender = self.lender(request.lender)
        self._check_sound()

        def decide() -> bytes:
            lanes.of_epoch(lane, request.epoch)
            return refunds.ask(request, raw, lane, lender)

        return transact(self.database, decide)

    def hear(self, beat: Heartbeat, name: LaneName) -> bytes:
        """Signed time for the lane's nonce, and what the backend would like of the lane."""
        lender, now_s = self.lender_at(beat.lender, name.merchant), self.clock()
        if transact(self.database, lambda: recovery.heard(beat, name, self.lenders, now_s=now_s)):
            self.heard.add(name.lane)
        recovering = recovery.started_at() is not None
        wanted = recovery.wanted(name.lane) if recovering else ()
        answer: dict[str, Any] = {
            "time": b64url(lender.sign_time(from_b64url(beat.nonce), now_s)),
            "layers_wanted": [{"lender": of, "sequence": sequence} for of, sequence in wanted],
            "recovering": recovering or access.of(name, now_s=now_s) is Access.FORGOTTEN,
            "journals": [{"epoch": row.epoch, "stored_through": number} for row, number in quarantine.ends(name.lane)],
            "lenders": [known.lender for known in self.lenders.values() if known.serves(name.merchant)],
        }
        if name.expires_at is not None:
            answer["certificate"] = {"not_after": rfc3339(name.expires_at)}
        return write(answer)

    def take_layer(self, lane: str, lender: str, sequence: int, data: bytes) -> None:
        layers_again.take(self.database, lane, self.lender(lender), sequence, data, now_s=self.clock())

    def claim(self, text: str) -> bytes:
        """Post the sale of a slip, unless its journal or another slip has told of it."""
        self._check_sound()
        claim = claims.verified(text)
        self._post(claim.lane, claim.epoch, SETTLED_ENTRIES_MAX)
        return transact(self.database, lambda: claims.post(claim, text, self._books()))

    def snapshot(self, lender: str, name: LaneName) -> list[SnapshotLayer]:
        layers = snapshots.stack(name.lane, self.lender_at(lender, name.merchant).lender)
        if not layers:
            raise Problem("snapshot_none")
        return layers

    def refresh_snapshots(self) -> int:
        """Build what any lane needs from any lender; returns how many layers were cut."""
        return sum(self.refreshing())

    def refreshing(self) -> Iterator[int]:
        """The same in steps, a lane and a lender each: how many layers it cut. A server answers its lanes in between.

        A layer includes what has been posted (lease rule 3), however much is stored besides.
        """
        self._look_at_new_connection()
        transact(self.database, lambda: recovery.end_if_complete(now_s=self.clock()))
        for known in self.lenders:
            if self._is_sound():
                recalls.tend(self.database, known, now_s=self.clock())
                yield from self._planning(known)
        for lane in [lane for lane in lanes.in_service() if lane in self.heard]:
            merchant = lanes.find(lane).merchant
            for lender in self.lenders.values():
                if not lender.serves(merchant):
                    continue
                if not self._is_sound():
                    return
                yield int(snapshots.refresh(self.database, lane, lender, self.plan, now_s=self.clock()) is not None)

    def granting_more(self) -> Iterator[int]:
        """A delta at once for each who asked for more of their leases; how much they get is the plan's word."""
        while self.asked and self._is_sound():
            lane, name = self.asked.pop()
            lender = self.lenders.get(name)
            may_have_it = lane in self.heard and lane in lanes.in_service()
            if lender is not None and may_have_it and lender.serves(lanes.find(lane).merchant):
                yield int(snapshots.top_up(self.database, lane, lender, self.plan, now_s=self.clock()) is not None)

    def _planning(self, lender: str) -> Iterator[int]:
        """Today's plan, some accounts in a step, before layers are cut by it; no step cuts one."""
        if self.plan.rules is not None:
            for _ in plans.tend(self.database, lender, self.plan.rules, now_s=self.clock()):
                yield 0


def compose(
    database: Database,
    *,
    clock: Callable[[], int],
    randomness: Randomness,
    authority: Authority,
    plan: Plan,
    lenders: Mapping[str, Lender] | None = None,
    rails: Mapping[str, Rail] | None = None,
) -> Backend:
    """The backend over an open database; ``lenders`` are those in it unless given, ``rails`` none.

    ``clock`` gives UTC seconds.
    """
    known = InForce(clock) if lenders is None else lenders
    return Backend(database, clock, randomness, authority, known, plan, rails or {})
