"""Promise 4 under interleavings that nobody thought of: two honest lanes, one backend, any order of events.

Lanes stand in, ask online, lose answers, decline, reverse, capture, give back, install or ignore snapshots, stay cut
off for days; limits change, leases are recalled. After every step the books hold, nothing has raised what is promised
above a limit, and no entry of an honest lane is ever disputed or parked.
"""

import os
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from peewee import fn

from agent.core import leases
from backend import accounts, allowances, audit, holds, recalls
from backend.schema import Dispute, SnapshotLayer
from tests.backend.books import postgres
from tests.backend.lanes import LENDER, PaperLane, Shop

LANES = st.sampled_from("AB")
AMOUNTS = st.integers(1, 120)
PHONES = st.integers(0, 1)


class Fleet(RuleBasedStateMachine):
    def books(self) -> str:
        return ":memory:"

    @initialize(limits=st.tuples(st.integers(20, 200), st.integers(20, 200)))
    def open(self, limits: tuple[int, int]) -> None:
        self.shop = Shop.open(self.books(), *limits)
        self.asked: dict[str, tuple[PaperLane, bytes, int, int, Any]] = {}
        self.approved: dict[str, tuple[PaperLane, int, int, int]] = {}
        self.promised: dict[bytes, int] = {}

    def teardown(self) -> None:
        if hasattr(self, "shop"):
            for lane in self.shop.lanes.values():
                lane.upload()
            self.books_hold()
            assert self.shop.findings() == []
            self.shop.close()

    @rule(lane=LANES, phone=PHONES, data=st.data())
    def stand_in(self, lane: str, phone: int, data: Any) -> None:
        paper, token = self.shop.lanes[lane], self.shop.phones[phone].account
        if remaining := paper.remaining(token):
            amount = data.draw(st.integers(1, remaining))
            self.approved[paper.stand_in(amount, token=token)] = (paper, amount, amount, phone)

    @rule(lane=LANES, phone=PHONES, amount=AMOUNTS)
    def intend(self, lane: str, phone: int, amount: int) -> None:
        paper = self.shop.lanes[lane]
        sale = paper.intend(amount, phone=phone)
        self.asked[sale] = (paper, paper.request(amount, sale, phone=phone), amount, phone, None)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def request_arrives(self, data: Any) -> None:
        sale = data.draw(st.sampled_from(sorted(self.asked)))
        paper, raw, amount, phone, _ = self.asked[sale]
        self.asked[sale] = (paper, raw, amount, phone, paper.ask(raw))

    @precondition(lambda self: any(asked[4] for asked in self.asked.values()))
    @rule(data=st.data())
    def answer_arrives(self, data: Any) -> None:
        sale = data.draw(st.sampled_from(sorted(sale for sale, asked in self.asked.items() if asked[4])))
        paper, _, amount, phone, answer = self.asked.pop(sale)
        paper.note(answer, amount, sale, phone=phone)
        if answer["approved"]:
            self.approved[sale] = (paper, amount, answer["lease_used_minor"], phone)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), late=st.booleans())
    def time_out(self, data: Any, late: bool) -> None:
        """No answer: the lane stands in if its lease covers the sale, else declines; the request may arrive late."""
        sale = data.draw(st.sampled_from(sorted(self.asked)))
        paper, raw, amount, phone, _ = self.asked.pop(sale)
        token = self.shop.phones[phone].account
        debit = paper.open_debits.pop(sale)
        if amount <= paper.remaining(token):
            paper.stand_in(amount, sale, token=token, online_unknown=True)
            self.approved[sale] = (paper, amount, amount, phone)
        else:
            paper.open_debits[sale] = debit
            paper.decline(amount, sale, token=token)
        if late:
            paper.ask(raw)

    @precondition(lambda self: self.approved)
    @rule(data=st.data(), kept=st.integers(0, 120))
    def end_sale(self, data: Any, kept: int) -> None:
        """Capture in full or less, or reverse; what the lease paid of the rest is restored to it."""
        sale = data.draw(st.sampled_from(sorted(self.approved)))
        paper, amount, from_lease, phone = self.approved.pop(sale)
        token = self.shop.phones[phone].account
        kept = min(kept, amount)
        restored = min(from_lease, amount - kept)
        if kept:
            paper.capture(kept, sale, restored_minor=restored, token=token)
        else:
            paper.reverse(amount, sale, restored_minor=restored, token=token)

    @rule(lane=LANES, phone=PHONES, data=st.data())
    def give_back(self, lane: str, phone: int, data: Any) -> None:
        paper, token = self.shop.lanes[lane], self.shop.phones[phone].account
        if remaining := paper.remaining(token):
            paper.give_back(data.draw(st.integers(1, remaining)), token=token)

    @rule(lane=LANES, count=st.integers(1, 5))
    def upload(self, lane: str, count: int) -> None:
        self.shop.lanes[lane].upload(count)

    @rule(lane=LANES, allowance=st.integers(0, 150), is_base=st.booleans(), hours=st.integers(2, 12))
    def cut(self, lane: str, allowance: int, is_base: bool, hours: int) -> None:
        self.shop.cut(lane, allowance_minor=allowance, is_base=is_base, life_s=hours * 3600)

    @rule(lane=LANES, allowance=st.integers(1, 150))
    def roll_out(self, lane: str, allowance: int) -> None:
        """What happens most of the time: a layer is cut, installed, and the backend told."""
        self.shop.cut(lane, allowance_minor=allowance)
        self.shop.lanes[lane].install()
        self.shop.lanes[lane].upload()

    @rule(lane=LANES)
    def install(self, lane: str) -> None:
        paper = self.shop.lanes[lane]
        if _newest(paper) > paper.sequence:
            paper.install()

    @rule(hours=st.integers(1, 6))
    def time_passes(self, hours: int) -> None:
        self.shop.clock.now_s += hours * 3600

    @rule(phone=PHONES, limit=st.integers(0, 250))
    def change_limit(self, phone: int, limit: int) -> None:
        """Up or down, also while online outcomes are under way and leases are spent."""
        token = self.shop.phones[phone].account
        account = accounts.find(LENDER, token)
        assert account is not None
        promised = sum(allowances.outstanding_by_lane(LENDER, token).values())
        accounts.set_limit(account, limit, outstanding_minor=promised)
        recalls.tend(self.shop.backend.database, LENDER, now_s=self.shop.clock.now_s)

    @rule(lane=LANES, phone=st.none() | PHONES)
    def recall(self, lane: str, phone: int | None) -> None:
        """Of one account or of all; what the lane makes of it is `give_back` and `install`, or nothing for long."""
        account, now_s = None if phone is None else self.shop.phones[phone].account, self.shop.clock.now_s
        recalls.request(LENDER, reason="test", now_s=now_s, lane=lane, account=account)
        recalls.tend(self.shop.backend.database, LENDER, now_s=now_s)

    @invariant()
    def nothing_raises_what_is_promised_above_the_limit(self) -> None:
        """A cut leaves an account above its limit; from there it only goes down."""
        for phone in self.shop.phones if hasattr(self, "shop") else ():
            account = accounts.find(LENDER, phone.account)
            assert account is not None
            leased = sum(allowances.outstanding_by_lane(LENDER, phone.account).values())
            promised = account.used_minor + account.held_minor + leased
            assert promised <= max(account.limit_minor, self.promised.get(phone.account, 0))
            self.promised[phone.account] = promised

    @invariant()
    def books_hold(self) -> None:
        if hasattr(self, "shop"):
            assert list(audit.account_findings(self.shop.backend.lenders)) == []
            assert Dispute.select().count() == 0, [(row.reason, row.lane, row.number) for row in Dispute.select()]


def _newest(paper: PaperLane) -> int:
    mine = (SnapshotLayer.lane == paper.name) & (SnapshotLayer.lender == LENDER)
    return SnapshotLayer.select(fn.MAX(SnapshotLayer.sequence)).where(mine).scalar() or 0


Fleet.TestCase.settings = settings(
    max_examples=int(os.environ.get("COUNTERFOIL_MACHINE_EXAMPLES", "30")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestFleet = Fleet.TestCase


class FleetOnPostgres(Fleet):
    def books(self) -> str:
        return postgres().new_database()


@pytest.mark.proof
def test_the_books_hold_on_postgresql_too() -> None:
    run_state_machine_as_test(FleetOnPostgres, settings=settings(Fleet.TestCase.settings, max_examples=10))


def _forget_other_lanes(limit_minor: int, used_minor: int, held_minor: int, _elsewhere_minor: int) -> int:
    return max(0, limit_minor - used_minor - held_minor)


def _count_the_newest_grant_only(grants: Any, *, installed_sequence: int, horizon_s: int) -> Any:
    newest = max(grants, key=lambda counted: counted.grant.sequence)
    return leases.live([newest], installed_sequence=installed_sequence, horizon_s=horizon_s)


def _forget_what_online_sales_use(_lender: str, _token: bytes) -> dict[str, int]:
    return {}


def _never_undo(_hold: Any) -> int:
    return 0


PLANTED = [
    ("grantable", leases, _forget_other_lanes),
    ("live", leases, _count_the_newest_grant_only),
    ("_online_use", allowances, _forget_what_online_sales_use),
    ("undo_online", holds, _never_undo),
]


@pytest.mark.proof
@pytest.mark.parametrize(("name", "module", "bug"), PLANTED, ids=[row[0] for row in PLANTED])
def test_the_machine_finds_planted_bugs(name: str, module: Any, bug: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a machine that lets these pass proves nothing."""
    stand_in = SimpleNamespace(**vars(leases)) if module is leases else module
    if module is leases:
        monkeypatch.setattr(allowances, "leases", stand_in)
        monkeypatch.setattr(holds, "leases", stand_in)
    monkeypatch.setattr(stand_in, name, bug)
    found = settings(Fleet.TestCase.settings, max_examples=300, phases=[Phase.generate], derandomize=True)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Fleet, settings=found)
