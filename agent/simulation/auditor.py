"""The auditor sees every disk, every journal and every slip, and holds the promises against them at every step.

The one rule: it judges by what left the fleet (answers, paper, money) and by what the disks hold, never by what a
service says of itself.

1. what was shown, answered or printed is durable on that lane's disk;
2. after healing, every entry of every lane is at the backend with equal bytes, and both halves end in the same head;
3. a sale has one approved attempt, one hold, one unmarked slip, and one answer however often it is asked;
4. the approvals that stand anywhere never exceed an account's limit, nor do used + held + outstanding at the backend;
   an account is a lender's, and those of two lenders with one token are two.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from agent.core.authorization import Hold, HoldRefused, HoldState, event_of
from agent.core.journal import Entry, Sealed
from agent.services.settlement import BatchReport
from agent.simulation.backend_process import BackendProcess, Credit, Customer
from agent.simulation.disk import Survivors
from agent.simulation.lane_process import LaneProcess, Witness
from agent.simulation.printer import Paper
from agent.simulation.recovery import DiskReader
from agent.simulation.tally import Attempt, Tally, is_before_people
from backend import accounts, allowances
from backend.database import rows as rows_of
from backend.schema import Dispute
from backend.schema import Journal as JournalRow

LAST_EVENTS: Final = 40
OUTSIDE_THE_BOOKS: Final = "online_not_answered"
TERMS_OF_AN_ANSWER: Final = ("amount_minor", "response_code", "reason", "authorization_code", "mode")


@dataclass(slots=True)
class Findings:
    """``violations`` in the order they were seen; ``trace``: a hash over every event, equal in every replay."""

    violations: list[str] = field(default_factory=list)
    last_events: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_EVENTS))
    events: int = 0
    _hash: Any = field(default_factory=hashlib.sha256)

    def note(self, what: str) -> None:
        self.events += 1
        self.last_events.append(what)
        self._hash.update(what.encode() + b"\n")

    @property
    def trace(self) -> str:
        digest: str = self._hash.hexdigest()
        return digest


@dataclass(slots=True)
class Evidence:
    """What the fleet left behind: each lane's entries and holds, the backend's rows, and who got an old disk back."""

    journals: dict[str, list[Sealed]] = field(default_factory=lambda: defaultdict(list))
    holds: dict[Attempt, Hold] = field(default_factory=dict)
    backend_rows: list[tuple[Any, ...]] = field(default_factory=list)
    put_back: set[str] = field(default_factory=set)
    backend_was_put_back: bool = False


class Auditor(Witness):
    """``time_s`` tells virtual time; ``look_share`` is how often a lane's disk is read when something was shown."""

    def __init__(self, time_s: Callable[[], float], random: Random, look_share: float) -> None:
        self._time_s, self._random, self._look_share = time_s, random, look_share
        self.findings = Findings()
        self.seen = Evidence()
        self.tally = Tally(self.violated)
        self._told: dict[Attempt, tuple[Any, ...]] = {}
        self._told_approved: set[tuple[str, str]] = set()
        self._paper: Counter[tuple[str, str]] = Counter()
        self._promised: dict[Credit, int] = {}
        self._horizons: Counter[tuple[str, str]] = Counter()
        self._repaid: Counter[Credit] = Counter()
        self._released: dict[Credit, list[tuple[str, Entry, int]]] = defaultdict(list)
        self._for_people: Counter[Credit] = Counter()
        self._disk = DiskReader()
        self._backend: BackendProcess | None = None

    def attend(self, backend: BackendProcess) -> None:
        self._backend = backend

    def put_back(self, lane: LaneProcess) -> None:
        """An old ledger is put back at this lane. What it recorded since is lost to it; of the promises, the fourth
        must hold all the same, and the lane must come back to the backend in a new epoch."""
        self.note(f"{lane.name.lane} gets an old ledger")
        self.seen.put_back.add(lane.name.lane)

    def replaced(self, lane: LaneProcess) -> None:
        """The lane's disk is destroyed, and with it what was not sent. What it approved stands all the same."""
        self.note(f"{lane.name.lane} gets another device")
        self.seen.put_back.add(lane.name.lane)

    def hold_of(self, lane: LaneProcess, sale_id: str) -> Hold | None:
        """The approved attempt of a sale, as its lane recorded it."""
        mine = (hold for key, hold in self.seen.holds.items() if key[:2] == (lane.name.lane, sale_id))
        return next((hold for hold in mine if hold.is_approved), None)

    def put_back_backend(self) -> None:
        """An old database is put back. Two things that it has forgotten are for people, because the lane's word alone
        moves no money: an online answer, and what was spent from a layer that the lane has replaced since. Until they
        are told again, money that came back counts again. Everything else must be as if nothing had been lost."""
        self.note("the backend is put back")
        self.seen.backend_was_put_back = True

    # -- what the fleet does -------------------------------------------------------------------------------------

    def note(self, what: str) -> None:
        self.findings.note(f"{self._time_s():.3f} {what}")

    def violated(self, what: str) -> None:
        self.note(f"VIOLATED {what}")
        self.findings.violations.append(f"{self._time_s():.3f} {what}")

    def recorded(self, lane: LaneProcess, chain: Sequence[Sealed]) -> None:
        for sealed in chain:
            entry = sealed.entry
            self.note(f"{lane.name.lane} #{entry.number} {entry.kind} {entry.sale_id} {sealed.hash.hex()[:16]}")
            self.seen.journals[lane.name.lane].append(sealed)
            horizon = lane.name.lane, entry.lender or ""
            self._horizons[horizon] = max(self._horizons[horizon], entry.lease_horizon)
            self._fold(lane, sealed)

    def _fold(self, lane: LaneProcess, sealed: Sealed) -> None:
        entry = sealed.entry
        self.tally.recorded_of_slip(entry)
        if event_of(entry.kind, entry.body) is None:
            return
        assert entry.lender and entry.sale_id and entry.attempt
        key = Attempt(lane.name.lane, entry.sale_id, entry.attempt)
        self.tally.recorded(key, entry, has_forgotten=key.lane in self.seen.put_back)
        before = self.seen.holds.get(key, Hold(entry.lender, entry.sale_id, entry.attempt))
        try:
            hold = before.apply(entry.kind, entry.body)
        except HoldRefused:
            if key.lane not in self.seen.put_back:
                raise
            return  # it decides again what it has forgotten; what it decided before stands
        self.seen.holds[key] = hold
        if hold.account is not None and hold.owed_minor < before.owed_minor:
            released_minor = before.owed_minor - hold.owed_minor
            self._released[hold.lender, hold.account].append((key.lane, entry, released_minor))
        if hold.is_approved:
            self._check_one_approval(key)
            if key.lane not in self.seen.put_back:
                self.tally.check_coupon(key, self.seen.holds)
        if hold.account is not None:
            self._check_account((hold.lender, hold.account))

    def announced(self, lane: LaneProcess, hold: Hold) -> None:
        """Something became visible at the lane: it must be on the disk, and it must not contradict an answer."""
        if lane.name.lane in self.seen.put_back:
            return
        key = Attempt(lane.name.lane, hold.sale_id, hold.attempt)
        self._check_answer(key, hold)
        self._check_durable(lane, key, "shown")

    def answered(self, lane: LaneProcess, hold: Hold) -> None:
        """The POS got this answer."""
        self.note(f"{lane.name.lane} answers {hold.sale_id}/{hold.attempt} {hold.state} {hold.reason}")
        if lane.name.lane in self.seen.put_back:
            return
        self.announced(lane, hold)
        sale = (lane.name.lane, hold.sale_id)
        if hold.is_approved:
            self._told_approved.add(sale)
        elif hold.state is HoldState.DECLINED and sale in self._told_approved:
            self.violated(f"promise 3: {hold.sale_id} was answered approved before, and now {hold.reason}")

    def printed(self, lane: LaneProcess, paper: Paper) -> None:
        self.note(f"{lane.name.lane} prints {paper.sale_id}{' (copy)' if paper.is_copy else ''}")
        if lane.name.lane in self.seen.put_back:
            return
        mine = [key for key in self.seen.holds if (key.lane, key.sale_id) == (lane.name.lane, paper.sale_id)]
        if not mine and not self.tally.refunded_at(lane.name.lane, paper.sale_id):
            self.violated(f"promise 1: {lane.name.lane} printed {paper.sale_id}, which it never recorded")
        for key in mine[-1:]:
            self._check_durable(lane, key, "printed")
        if not paper.is_copy:
            self._paper[lane.name.lane, paper.content] += 1
            if self._paper[lane.name.lane, paper.content] > 1:
                self.violated(f"promise 3: {paper.sale_id} is on paper twice without a mark")

    def acknowledged(self, lane: LaneProcess, through: int) -> None:
        """The lane believes that the backend has these durably."""
        self.note(f"{lane.name.lane} acknowledged through {through}")
        if self._backend is None or self._backend.backend is None or lane.name.lane in self.seen.put_back:
            return
        row = JournalRow.get(JournalRow.lane == lane.name.lane, JournalRow.epoch == 1)
        if row.number < through:
            self.violated(f"promise 2: {through} acknowledged to {lane.name.lane}, the backend has {row.number}")

    def settled(self, lane: LaneProcess, report: BatchReport) -> None:
        """A batch has been compared. One that was put back has forgotten what the backend knows: it differs; so does
        one with an entry that is before people, in nothing but that."""
        self.note(f"{lane.name.lane} batch {report.batch} is {report.state}")
        is_explained = self.seen.backend_was_put_back or is_before_people(lane.name.lane)
        names_entries_only = is_explained and all(found.what == "entry" for found in report.differences)
        if report.state == "different" and lane.name.lane not in self.seen.put_back and not names_entries_only:
            self.violated(f"promise 2: batch {report.batch} of {lane.name.lane} differs: {report.differences}")

    def repaid(self, credit: Credit, minor: int) -> None:
        self.note(f"{credit[1].hex()[:8]} repays {minor}")
        self._repaid[credit] += minor

    def backend_changed(self, what: str) -> None:
        """The backend may have changed its books: look at all of them."""
        self.note(f"backend: {what}")
        assert self._backend is not None
        rows = self._backend.holds()
        if rows is None or self._backend.backend is None:
            return
        self.seen.backend_rows = rows
        if self.seen.backend_was_put_back:
            columns = (Dispute.lender, Dispute.account, Dispute.amount_minor)
            forgotten = Dispute.select(*columns).where(Dispute.reason == OUTSIDE_THE_BOOKS)
            self._for_people = Counter()
            for lender, account, minor in rows_of(forgotten):
                self._for_people[lender, bytes(account)] += minor
        for customer in self._backend.customers:
            self._check_books(customer)
            self._check_account(customer.key)

    def _check_books(self, customer: Customer) -> None:
        account = accounts.find(customer.lender, customer.account)
        assert account is not None
        outstanding = sum(allowances.outstanding_by_lane(customer.lender, customer.account).values())
        promised = account.used_minor + account.held_minor + outstanding
        if promised > customer.limit_minor + self._forgotten_minor(customer.key):
            figures = f"used {account.used_minor}, held {account.held_minor}, leases {outstanding}"
            self.violated(
                f"promise 4: the backend promised {promised} of {customer.account.hex()[:8]} ({figures}), "
                f"its limit is {customer.limit_minor}"
            )
        # A cut may leave it above the limit of this moment; then nothing may make it more.
        before, self._promised[customer.key] = self._promised.get(customer.key, 0), promised
        if promised > max(account.limit_minor, before) and not self.seen.backend_was_put_back:
            self.violated(
                f"promise 4: {before} of {customer.account.hex()[:8]} was promised, and now {promised}, "
                f"although its limit is cut to {account.limit_minor}"
            )

    def _forgotten_minor(self, credit: Credit) -> int:
        """What books that were put back do not show yet of the money that came back: repayments that are still to be
        entered again, and what unposted entries give back of sales that are posted, or will be before them."""
        assert self._backend is not None
        if not self.seen.backend_was_put_back:
            return 0
        posted = {
            (lane, epoch): number
            for lane, epoch, number in rows_of(
                JournalRow.select(JournalRow.lane, JournalRow.epoch, JournalRow.posted_number)
            )
        }
        unposted = (
            minor for lane, entry, minor in self._released[credit] if entry.number > posted.get((lane, entry.epoch), 0)
        )
        return self._backend.unbooked_minor(credit) + sum(unposted)

    # -- the promises --------------------------------------------------------------------------------------------

    def _check_durable(self, lane: LaneProcess, key: Attempt, how: str) -> None:
        if self._random.random() >= self._look_share:
            return
        image = lane.disk.after_power_cut(Survivors.NONE, self._random)
        mine = {sealed.data for sealed in self.seen.journals[key.lane] if sealed.entry.sale_id == key.sale_id}
        decided = key in self.seen.holds and self.seen.holds[key].state is not HoldState.INTENDED
        if not decided or self._disk.entries_of_sale(image, key.sale_id) != mine:
            self.violated(f"promise 1: {key.lane} has {how} {key.sale_id}, and it is not on its disk")

    def _check_answer(self, key: Attempt, hold: Hold) -> None:
        terms = tuple(getattr(hold, name) for name in TERMS_OF_AN_ANSWER)
        said = self._told.setdefault(key, terms)
        if said != terms:
            self.violated(f"promise 3: {key.sale_id}/{key.number} was answered {said}, and now {terms}")

    def _check_one_approval(self, key: Attempt) -> None:
        if key.lane in self.seen.put_back:
            return
        others = [
            other
            for other, hold in self.seen.holds.items()
            if other[:2] == key[:2] and other != key and hold.is_approved
        ]
        if others:
            self.violated(f"promise 3: {key.sale_id} is approved as attempt {key.number} and {others[0].number}")

    def _check_account(self, credit: Credit) -> None:
        assert self._backend is not None
        limit = next((c.limit_minor for c in self._backend.customers if c.key == credit), None)
        if limit is None:
            return
        stands = self._stands_at_lanes(credit) + self._stands_at_backend(credit) - self._for_people[credit]
        if stands > limit + self._repaid[credit]:
            self.violated(
                f"promise 4: approvals of {stands} stand for {credit[1].hex()[:8]} of {credit[0]}, "
                f"its limit is {limit}, and {self._repaid[credit]} repaid"
            )

    def _stands_at_lanes(self, credit: Credit) -> int:
        return sum(
            self._owed(key, hold) for key, hold in self.seen.holds.items() if (hold.lender, hold.account) == credit
        )

    def _owed(self, key: Attempt, hold: Hold) -> int:
        """What the lane has sworn to be over it captures no more, whether or not an entry says so yet (rule 1); what
        another lane gave back is owed no more."""
        is_over = hold.expires_at is not None and hold.expires_at <= self._horizons[key.lane, hold.lender]
        return max(0, hold.owed_minor - (hold.held_minor if is_over else 0) - self.tally.by_slip(key))

    def _stands_at_backend(self, credit: Credit) -> int:
        """Holds that no lane has decided: elsewhere, or still being asked for. The lane's outcome wins (rule 6)."""
        total = 0
        for lane, sale_id, attempt, token, amount, held, _online, _state, lender in self.seen.backend_rows:
            known = self.seen.holds.get(Attempt(lane, sale_id, attempt))
            if token is not None and (lender, bytes(token)) == credit and held:
                total += amount if known is None or known.state is HoldState.INTENDED else 0
        return total
