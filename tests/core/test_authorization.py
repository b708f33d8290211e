"""The life of a hold: every event has its answer in every state, and the fold says what the entries said."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.authorization import (
    APPROVED,
    FINAL,
    TRANSITIONS,
    Hold,
    HoldEvent,
    HoldRefused,
    HoldState,
    event_of,
    next_state,
)
from agent.core.journal import Kind

S, E = HoldState, HoldEvent
# One row a state; what intend, approve, decline, capture, reverse make of it. None: refused.
LIFE: dict[HoldState, tuple[HoldState | None, ...]] = {
    S.NONE: (S.INTENDED, S.AUTHORIZED, S.DECLINED, None, None),
    S.INTENDED: (None, S.AUTHORIZED, S.DECLINED, None, None),
    S.AUTHORIZED: (None, None, None, S.CAPTURED, S.REVERSED),
    S.DECLINED: (None, None, None, None, None),
    S.CAPTURED: (None, None, None, None, None),
    S.REVERSED: (None, None, None, None, None),
}
NEW = Hold("shoplend", "sale-0001", 1)
IDENTITY = {"amount_minor": 3000, "currency": "CNY", "account": b"a" * 16, "capture": "later", "code": b"12345678"}
ANSWER = {"response_code": "00", "reason": "approved", "authorization_code": "A1B2C3"}
LEASE = {"epoch": 4, "delta_minor": 2000}


@pytest.mark.parametrize(("state", "event"), list(product(S, E)))
def test_every_event_has_an_answer_in_every_state(state: HoldState, event: HoldEvent) -> None:
    becomes = LIFE[state][list(E).index(event)]
    if becomes is not None:
        assert next_state(state, event) is becomes
        return
    with pytest.raises(HoldRefused) as refused:
        next_state(state, event)
    assert (refused.value.state, refused.value.event) == (state, event)


def test_an_end_is_an_end_and_what_counts_as_approved_can_be_captured_or_was() -> None:
    assert {state for state, _ in TRANSITIONS} | FINAL == set(S)
    assert not FINAL & {state for state, _ in TRANSITIONS}
    assert {S.AUTHORIZED, S.CAPTURED} == APPROVED


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_entry_is_an_event_of_a_hold_or_none_of_its_business(kind: Kind) -> None:
    concerned = {
        Kind.ONLINE_INTENT, Kind.ONLINE_OUTCOME, Kind.AUTHORIZATION, Kind.DECLINE, Kind.CAPTURE, Kind.REVERSAL
    }  # fmt: skip
    assert (event_of(kind, {"approved": True}) is not None) == (kind in concerned)
    if kind not in concerned:
        assert NEW.apply(kind, {}) is NEW


def intended(debit_minor: int = 3000) -> Hold:
    return NEW.apply(Kind.ONLINE_INTENT, IDENTITY | {"lease": {"epoch": 4, "debit_minor": debit_minor}})


def test_an_intent_reserves_and_an_approval_spends_only_what_was_used() -> None:
    hold = intended()
    assert (hold.open_debit_minor, hold.lease_minor, hold.lease_epoch) == (3000, 0, 4)
    hold = hold.apply(Kind.ONLINE_OUTCOME, IDENTITY | ANSWER | {"approved": True, "lease": LEASE})
    assert (hold.open_debit_minor, hold.lease_minor, hold.mode) == (0, 2000, "online")


@pytest.mark.parametrize(
    ("kind", "mode"), [(Kind.DECLINE, "stand_in"), (Kind.ONLINE_OUTCOME, "online")], ids=lambda value: str(value)
)
def test_a_decline_frees_the_debit_and_spends_nothing(kind: Kind, mode: str) -> None:
    body: dict[str, Any] = IDENTITY | ANSWER | {"approved": False, "lease": None, "response_code": "51"}
    hold = intended().apply(kind, body)
    assert (hold.state, hold.open_debit_minor, hold.lease_minor, hold.mode) == (S.DECLINED, 0, 0, mode)


def test_a_reversal_gives_back_what_the_approval_took() -> None:
    hold = intended().apply(Kind.AUTHORIZATION, IDENTITY | ANSWER | {"lease": LEASE})
    back = {"amount_minor": 3000, "currency": "CNY", "reason": "cashier", "lease": {"epoch": 4, "delta_minor": -2000}}
    assert hold.apply(Kind.REVERSAL, back).lease_minor == 0
    assert hold.apply(Kind.REVERSAL, back | {"lease": None}).lease_minor == 2000


@given(st.lists(st.sampled_from([Kind.ONLINE_INTENT, Kind.AUTHORIZATION, Kind.DECLINE, Kind.CAPTURE, Kind.REVERSAL])))
def test_a_refused_entry_changes_nothing_and_identity_never_changes(kinds: list[Kind]) -> None:
    hold = NEW
    bodies = {
        Kind.ONLINE_INTENT: IDENTITY | {"lease": None},
        Kind.AUTHORIZATION: IDENTITY | ANSWER | {"lease": LEASE},
        Kind.DECLINE: IDENTITY | ANSWER,
        Kind.CAPTURE: {"amount_minor": 3000},
        Kind.REVERSAL: {"amount_minor": 3000},
    }
    for kind in kinds:
        before = hold
        try:
            hold = hold.apply(kind, bodies[kind])
        except HoldRefused:
            assert hold == before
    assert (hold.lender, hold.sale_id, hold.attempt) == ("shoplend", "sale-0001", 1)
    assert hold.state is S.NONE or hold.amount_minor == 3000
