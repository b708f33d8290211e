"""Nothing sensitive without somebody who answers for it, and no guess for nothing: on the real file and ledger."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from agent.core.journal import Kind
from agent.core.operators import LOCK_S, TRIES_MAX, Action, Operator, Role
from agent.errors import OperatorRefused, OperatorsUnreadable
from agent.services.operators import IDLE_MAX_S, SESSIONS_MAX, OperatorDesk
from agent.store.operator_file import OperatorFile
from tests.services.lanes import LENDER, Till
from tests.uplink.world import run_real as run

PINS = {"12": "2468", "1": "1357"}


class Desk:
    def __init__(self, till: Till, directory: Path) -> None:
        self.till, self.book = till, OperatorFile(directory / "operators.json")
        self.begin()

    def begin(self) -> None:
        """As after a start of the agent."""
        till, made = self.till, iter(range(10**6))
        self.desk = OperatorDesk(
            self.book, till.ledger, lambda: till.lane.clock.read(LENDER), till.clock,
            lambda size: next(made).to_bytes(size, "big"),
        )  # fmt: skip

    def add(self, name: str, role: Role) -> None:
        self.book.change(name, lambda _: Operator(name, role, self.book.hashed(PINS[name])))

    def sign_in(self, name: str, pin: str | None = None) -> str:
        session: str = run(self.desk.sign_in(name, pin or PINS[name]))[0]
        return session

    def refusal(self, name: str, pin: str) -> tuple[str, int]:
        with pytest.raises(OperatorRefused) as refused:
            self.sign_in(name, pin)
        return refused.value.reason, refused.value.wait_s

    def permitted(self, action: Action, session: str | None, **more: Any) -> str:
        try:
            self.desk.permit(action, session, "sale-0001", **more)
        except OperatorRefused as refused:
            return refused.reason
        return "yes"

    def told(self) -> list[tuple[str, str, str | None]]:
        head = self.till.ledger.head
        entries = [sealed.entry for sealed in self.till.ledger.entries_after(head.epoch, 0, 1_000)]
        said = [entry.body for entry in entries if entry.kind == Kind.OPERATOR]
        return [(body["operator"], body["action"], body["subject"]) for body in said]


@pytest.fixture
def desk(till: Till, tmp_path: Path) -> Desk:
    made = Desk(till, tmp_path)
    made.add("12", Role.CASHIER)
    made.add("1", Role.SUPERVISOR)
    return made


def test_a_lane_without_operators_asks_nobody_and_writes_nothing(till: Till, tmp_path: Path) -> None:
    empty = Desk(till, tmp_path)
    assert empty.permitted(Action.REFUND, None) == empty.permitted(Action.VOID, None, owner="uid:0") == "yes"
    assert empty.told() == []
    assert empty.desk.overview(None)["needs"] == {}


def test_what_is_sensitive_needs_a_session_of_the_right_role_and_is_journaled_first(desk: Desk) -> None:
    assert desk.permitted(Action.REFUND, None) == desk.permitted(Action.REFUND, "made up") == "operator_required"
    cashier, supervisor = desk.sign_in("12"), desk.sign_in("1")
    assert desk.permitted(Action.REFUND, cashier) == "role_required"
    assert desk.permitted(Action.SETTLE, cashier) == desk.permitted(Action.REFUND, supervisor) == "yes"
    assert desk.permitted(Action.VOID, None, owner="uid:0") == "yes"
    assert desk.told() == [
        ("12", "signed_in", None),
        ("1", "signed_in", None),
        ("12", "settle", "sale-0001"),
        ("1", "refund", "sale-0001"),
        ("uid:0", "void", "sale-0001"),
    ]


def test_a_session_ends_by_itself_by_hand_and_with_its_operator(desk: Desk) -> None:
    first = desk.sign_in("1")
    desk.till.clock.pass_time(IDLE_MAX_S + 1)
    assert desk.permitted(Action.VOID, first) == "operator_required"
    second = desk.sign_in("1")
    desk.desk.sign_out(second)
    assert desk.permitted(Action.VOID, second) == "operator_required"
    third = desk.sign_in("1")
    desk.add("1", Role.SUPERVISOR)  # a new PIN
    assert desk.permitted(Action.VOID, third) == "operator_required"
    fourth = desk.sign_in("1")
    desk.book.change("1", lambda _: None)
    assert desk.permitted(Action.VOID, fourth) == "operator_required"


def test_wrong_pins_lock_and_a_restart_or_the_right_pin_open_nothing(desk: Desk) -> None:
    for _ in range(TRIES_MAX - 1):
        assert desk.refusal("12", "0000") == ("operator_pin_wrong", 0)
    assert desk.refusal("12", "0000") == ("operator_locked", LOCK_S)
    desk.begin()
    assert desk.refusal("12", PINS["12"]) == ("operator_locked", LOCK_S)
    assert desk.sign_in("1"), "the lock is this operator's alone"
    desk.till.clock.pass_time(LOCK_S)
    assert desk.refusal("12", "0000") == ("operator_locked", 2 * LOCK_S)
    desk.till.clock.pass_time(2 * LOCK_S)
    assert desk.sign_in("12")
    assert desk.book.all()["12"].failures == 0
    assert [said[1] for said in desk.told()] == ["locked_out", "signed_in", "locked_out", "signed_in"]


def test_tries_at_once_are_counted_one_by_one(desk: Desk) -> None:
    async def guess() -> list[Any]:
        tries = [desk.desk.sign_in("12", f"{number:04}") for number in range(20)]
        return await asyncio.gather(*tries, return_exceptions=True)

    reasons = [error.reason for error in run(guess())]
    assert reasons.count("operator_pin_wrong") == TRIES_MAX - 1
    assert desk.book.all()["12"].failures == TRIES_MAX


def test_a_try_is_counted_before_the_pin_is_looked_at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def power_cut(*_: str) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(desk.book, "fits", power_cut)
    with pytest.raises(KeyboardInterrupt):
        desk.sign_in("12")
    assert desk.book.all()["12"].failures == 1


def test_nobody_of_a_name_costs_no_hashing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.book, "fits", lambda *_: pytest.fail("there is nothing to compare"))
    assert desk.refusal("999", "1234") == ("operator_pin_wrong", 0)


def test_sessions_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.book, "fits", lambda *_: True)
    sessions = [desk.sign_in("1") for _ in range(SESSIONS_MAX + 1)]
    assert desk.desk.who(sessions[0]) is None
    assert all(desk.desk.who(session) for session in sessions[1:])


def test_why_a_drawer_was_opened_is_kept_where_nobody_signs_in_too(till: Till, tmp_path: Path) -> None:
    desk = Desk(till, tmp_path / "nobody")
    desk.desk.permit(Action.DRAWER, None, "change")
    desk.desk.permit(Action.DRAWER, None, None)
    desk.desk.permit(Action.REFUND, None, "sale-0001")
    assert desk.told() == [("nobody", "drawer", "change")]


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[{}]", b'[{"name": "1", "role": "owner", "pin_hash": ""}]', b"\xff", b"7", b"{}", b'""']
)
def test_a_file_that_cannot_be_read_is_never_no_operators(desk: Desk, tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "operators.json").write_bytes(damage)
    with pytest.raises(OperatorsUnreadable):
        desk.desk.permit(Action.REFUND, None, None)
    with pytest.raises(OperatorsUnreadable):
        desk.sign_in("1")


def test_the_file_is_the_services_alone_and_holds_no_pin(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "operators.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(row["pin_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$") for row in json.loads(path.read_text()))
    assert not any(pin in path.read_text() for pin in PINS.values())
