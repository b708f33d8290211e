"""What a role may do, and how long wrong PINs lock: a table, and what holds however often one tries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.operators import LOCK_MAX_S, LOCK_S, NEEDS, TRIES_MAX, Action, Operator, Role, is_name, is_pin

CASHIER, SUPERVISOR = Operator("12", Role.CASHIER, ""), Operator("1", Role.SUPERVISOR, "")


def test_a_supervisor_may_do_everything_and_a_cashier_what_is_a_cashiers() -> None:
    assert set(NEEDS) == set(Action)
    assert all(SUPERVISOR.may(action) for action in Action)
    assert {action for action in Action if CASHIER.may(action)} == {Action.SETTLE, Action.SHIFT}


def test_the_first_wrong_pins_lock_nobody_and_each_later_one_twice_as_long() -> None:
    operator, locks = CASHIER, []
    for _ in range(TRIES_MAX + 9):
        operator = operator.tried(1_000)
        locks.append(operator.locked_s(1_000))
    assert locks[: TRIES_MAX - 1] == [0] * (TRIES_MAX - 1)
    assert locks[TRIES_MAX - 1 : TRIES_MAX + 2] == [LOCK_S, 2 * LOCK_S, 4 * LOCK_S]
    assert locks[-1] == LOCK_MAX_S
    assert operator.recognised() == CASHIER


@given(st.integers(0, 2**53), st.integers(0, 2**53), st.integers(0, 200))
def test_a_lock_is_never_longer_than_the_longest_whatever_the_clock_says(then_s: int, now_s: int, tries: int) -> None:
    operator = CASHIER
    for _ in range(tries):
        operator = operator.tried(then_s)
    assert 0 <= operator.locked_s(now_s) <= LOCK_MAX_S


@pytest.mark.parametrize("pin", ["", "123", "1111", "12345678901234", "12a4", "１２３４", "1234\n", "-123"])
def test_what_is_no_pin(pin: str) -> None:
    assert not is_pin(pin)


@pytest.mark.parametrize("name", ["", "Li Wei", "李伟", "x" * 17, "a/b", "-1", "12\n"])
def test_what_is_no_name(name: str) -> None:
    assert not is_name(name)


def test_what_is() -> None:
    assert is_pin("1234") and is_pin("112233445566") and is_name("12") and is_name("till-2.b")
