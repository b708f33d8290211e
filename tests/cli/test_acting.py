"""`--operator`: what is sensitive is done by somebody who signs in, and the journal has the name."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli.main import main
from agent.core.operators import Operator, Role
from agent.local import operator_calls
from tests.local.served import ServedLane

PINS = {"12": "2468", "1": "1357"}
AMOUNT = {"minor": 3_000, "currency": "CNY"}
Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(
    served: ServedLane, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Of a user of the group who is not the lane's own, at a lane with a cashier 12 and a supervisor 1."""
    monkeypatch.setattr(operator_calls, "_owner", lambda _: None)
    served.within_s = 60
    for name, role in (("12", Role.CASHIER), ("1", Role.SUPERVISOR)):
        served.book.change(name, lambda _, name=name, role=role: Operator(name, role, served.book.hashed(PINS[name])))
    sale = {"sale_id": "sale-0001", "amount": AMOUNT, "code": served.till.phone().code()}
    served.tell(lambda client: client.post("/v1/sales", sale))

    def typed(*words: str, operator: str | None = None, pin: str = "") -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{pin or PINS.get(operator or '')}\n"))
        line = [*words, "--config", str(config), *(["--operator", operator, "--pin-stdin"] if operator else [])]
        code = served.tell(lambda _: main(line))
        said = capsys.readouterr()
        return code, said.out + said.err

    return typed


def told(served: ServedLane) -> list[tuple[str, str]]:
    ledger = served.till.ledger
    entries = (sealed.entry for sealed in ledger.entries_after(ledger.head.epoch, 0, 100))
    return [(entry.body["operator"], entry.body["action"]) for entry in entries if entry.kind == "operator"]


SENSITIVE = {
    "void": ("sale", "void", "sale-0001"),
    "refund": ("sale", "refund", "sale-0001", "500"),
    "drawer": ("drawer", "open"),
    "settle": ("settle", "--no-print"),
    "shift": ("shift", "open", "20000"),
}


@pytest.mark.parametrize("words", SENSITIVE.values(), ids=SENSITIVE)
def test_without_an_operator_it_says_what_to_add_and_nothing_is_done(
    served: ServedLane, typed: Typed, words: tuple[str, ...]
) -> None:
    code, said = typed(*words)
    assert code == 1 and "--operator NAME" in said
    assert told(served) == []


@pytest.mark.parametrize("action", ["void", "refund", "settle", "shift"])
def test_what_an_operator_does_is_in_the_journal_by_name(served: ServedLane, typed: Typed, action: str) -> None:
    code, said = typed(*SENSITIVE[action], operator="1")
    assert code in (0, 3), said  # 3: the other half of the day is pending
    assert told(served) == [("1", "signed_in"), ("1", action)]
    assert served.operators._sessions == {}


def test_a_cashier_voids_nothing_and_a_wrong_pin_signs_nobody_in(served: ServedLane, typed: Typed) -> None:
    code, said = typed(*SENSITIVE["void"], operator="12")
    assert code == 1 and "--operator NAME" in said
    assert typed(*SENSITIVE["void"], operator="1", pin="0000")[0] == 1
    assert told(served) == [("12", "signed_in")]
    assert served.till.counter.view("sale-0001")["state"] == "approved"


def test_a_shift_is_opened_for_who_signs_in(served: ServedLane, typed: Typed) -> None:
    assert "Shift 1 of 12" in typed("shift", "open", "20000", operator="12")[1]
    assert typed("shift", "close", "20000", operator="1")[0] == 0
    assert told(served)[-1] == ("1", "shift")
