"""The life of a hold: every event has its answer in every state, and the fold says what the entries said."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import texts
from agent.core.authorization import (
    ABOVE_CAPTURED,
    ABOVE_HOLD,
    APPROVED,
    FINAL,
    OPEN,
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
# One row a state; what each event makes of it, in the order of HoldEvent: intend, approve, decline, capture in part,
# capture, reverse, expire, void, refund in part, refund. "-": refused.
LIFE = {
    S.NONE: "intended authorized declined - - - - - - -",
    S.INTENDED: "- authorized declined - - - - - - -",
    S.AUTHORIZED: "- - - partly_captured captured reversed expired - - -",
    S.DECLINED: "- - - - - - - - - -",
    S.PARTLY_CAPTURED: "- - - partly_captured captured captured captured - - -",
    S.CAPTURED: "- - - - - - - voided partly_refunded refunded",
    S.REVERSED: "- - - - - - - - - -",
    S.EXPIRED: "- - - - - - - - - -",
    S.VOIDED: "- - - - - - - - - -",
    S.PARTLY_REFUNDED: "- - - - - - - - partly_refunded refunded",
    S.REFUNDED: "- - - - - - - - - -",
}
NEW = Hold("shoplend", "sale-0001", 1)
IDENTITY = {"amount_minor": 3000, "currency": "CNY", "account": b"a" * 16, "capture": "later", "code": b"12345678"}
ANSWER = {"response_code": "00", "reason": "approved", "authorization_code": "A1B2C3"}
LEASE = {"epoch": 4, "delta_minor": 2000}


@pytest.mark.parametrize(("state", "event"), list(product(S, E)), ids=lambda value: str(value))
def test_every_event_has_an_answer_in_every_state_and_every_refusal_its_words(
    state: HoldState, event: HoldEvent
) -> None:
    becomes = LIFE[state].split()[list(E).index(event)]
    if becomes != "-":
        assert next_state(state, event) == becomes
        return
    with pytest.raises(HoldRefused) as refused:
        next_state(state, event)
    assert (refused.value.state, refused.value.event) == (state, event)
    for language in texts.LANGUAGES:
        said = texts.catalogue(language)["reasons"][refused.value.reason]
        print(f"{state} + {event}: {said['cashier']} / {said['next']}")
        assert all(said.values()), (state, event)


def test_an_end_is_an_end_and_what_is_open_can_be_captured() -> None:
    assert {state for state, _ in TRANSITIONS} | FINAL == set(S)
    assert not FINAL & {state for state, _ in TRANSITIONS}
    assert {state for state, event in TRANSITIONS if event is E.CAPTURE} == OPEN < APPROVED
    assert not FINAL & APPROVED


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_entry_is_an_event_of_a_hold_or_none_of_its_business(kind: Kind) -> None:
    concerned = {
        Kind.ONLINE_INTENT, Kind.ONLINE_OUTCOME, Kind.AUTHORIZATION, Kind.DECLINE,
        Kind.CAPTURE, Kind.REVERSAL, Kind.EXPIRY, Kind.VOID, Kind.REFUND,
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


def approved(amount_minor: int = 3000, **fields: Any) -> Hold:
    body = IDENTITY | ANSWER | {"amount_minor": amount_minor, "lease": LEASE, "expires_at": 100} | fields
    return NEW.apply(Kind.AUTHORIZATION, body)


def part(amount_minor: int, *, final: bool = False) -> tuple[Kind, dict[str, Any]]:
    return Kind.CAPTURE, {"amount_minor": amount_minor, "currency": "CNY", "final": final}


def refund(amount_minor: int) -> tuple[Kind, dict[str, Any]]:
    return Kind.REFUND, {"amount_minor": amount_minor, "currency": "CNY"}


# What happens to an approval of 3000, and (state, held, captured, refunded, when it ends by itself).
STORIES: list[tuple[str, list[tuple[Kind, dict[str, Any]]], tuple[HoldState, int, int, int, int | None]]] = [
    ("nothing yet", [], (S.AUTHORIZED, 3000, 0, 0, 100)),
    ("in full", [part(3000, final=True)], (S.CAPTURED, 0, 3000, 0, None)),
    ("in less", [part(2000, final=True)], (S.CAPTURED, 0, 2000, 0, None)),
    ("in part", [part(1000)], (S.PARTLY_CAPTURED, 2000, 1000, 0, 100)),
    ("in parts", [part(1000), part(500), part(700, final=True)], (S.CAPTURED, 0, 2200, 0, None)),
    ("rest reversed", [part(1000), (Kind.REVERSAL, {})], (S.CAPTURED, 0, 1000, 0, None)),
    ("rest expired", [part(1000), (Kind.EXPIRY, {})], (S.CAPTURED, 0, 1000, 0, None)),
    ("reversed", [(Kind.REVERSAL, {})], (S.REVERSED, 0, 0, 0, None)),
    ("expired", [(Kind.EXPIRY, {})], (S.EXPIRED, 0, 0, 0, None)),
    ("voided", [part(2000, final=True), (Kind.VOID, {})], (S.VOIDED, 0, 2000, 2000, None)),
    ("some refunded", [part(2000, final=True), refund(500)], (S.PARTLY_REFUNDED, 0, 2000, 500, None)),
    ("the same again", [part(2000, final=True), refund(500), refund(500)], (S.PARTLY_REFUNDED, 0, 2000, 1000, None)),
    ("all refunded", [part(2000, final=True), refund(500), refund(1500)], (S.REFUNDED, 0, 2000, 2000, None)),
]


@pytest.mark.parametrize(("events", "expected"), [story[1:] for story in STORIES], ids=[story[0] for story in STORIES])
def test_a_hold_knows_what_is_held_captured_and_given_back(events: Any, expected: Any) -> None:
    hold = approved()
    for kind, body in events:
        hold = hold.apply(kind, body)
    assert (hold.state, hold.held_minor, hold.captured_minor, hold.refunded_minor, hold.expires_at) == expected
    assert hold.owed_minor == (hold.held_minor + hold.captured_minor - hold.refunded_minor)


ABOVE: list[tuple[list[tuple[Kind, dict[str, Any]]], str]] = [
    ([part(3001, final=True)], ABOVE_HOLD),
    ([part(2000), part(1001)], ABOVE_HOLD),
    ([part(2000, final=True), refund(2001)], ABOVE_CAPTURED),
    ([part(2000, final=True), refund(1500), refund(501)], ABOVE_CAPTURED),
]


@pytest.mark.parametrize(("events", "reason"), ABOVE)
def test_no_more_is_captured_than_held_and_no_more_refunded_than_captured(events: Any, reason: str) -> None:
    hold = approved()
    for kind, body in events[:-1]:
        hold = hold.apply(kind, body)
    with pytest.raises(HoldRefused) as refused:
        hold.apply(*events[-1])
    assert refused.value.reason == reason


EVENTS = st.one_of(
    st.integers(1, 3000).map(lambda minor: part(minor)),
    st.integers(1, 3000).map(lambda minor: part(minor, final=True)),
    st.integers(1, 3000).map(refund),
    st.sampled_from([(Kind.REVERSAL, {}), (Kind.EXPIRY, {}), (Kind.VOID, {}), (Kind.DECLINE, IDENTITY | ANSWER)]),
    st.just((Kind.ONLINE_INTENT, IDENTITY | {"lease": None})),
)


@given(st.lists(EVENTS, max_size=12))
def test_a_refused_entry_changes_nothing_and_money_stays_within_the_approval(events: list[Any]) -> None:
    hold = approved()
    for kind, body in events:
        before = hold
        try:
            hold = hold.apply(kind, body)
        except HoldRefused:
            assert hold == before
        assert 0 <= hold.refunded_minor <= hold.captured_minor <= hold.amount_minor == 3000
        assert 0 <= hold.owed_minor <= hold.amount_minor
        assert (hold.owed_minor > 0) == hold.is_approved
    assert (hold.lender, hold.sale_id, hold.attempt) == ("shoplend", "sale-0001", 1)
