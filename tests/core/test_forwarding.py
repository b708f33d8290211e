"""The queue's table: an entry leaves in order, is acknowledged once, and can always be sent again."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.forwarding import (
    RESULT_EVENTS,
    Cursor,
    EntryEvent,
    EntryState,
    ForwardingRefused,
    next_state,
    state_after,
)

S, E = EntryState, EntryEvent
# One row a state; what send, acknowledge, dispute, park, quarantine, rewind make of it. None: refused.
LIFE: dict[EntryState, tuple[EntryState | None, ...]] = {
    S.STORED: (S.SENT, None, None, None, None, None),
    S.SENT: (S.SENT, S.ACKNOWLEDGED, S.DISPUTED, S.PARKED, S.QUARANTINED, S.STORED),
    S.ACKNOWLEDGED: (None, None, None, None, None, S.STORED),
    S.DISPUTED: (None, None, None, None, None, None),
    S.PARKED: (None, None, None, None, None, None),
    S.QUARANTINED: (None, None, None, None, None, None),
}


@pytest.mark.parametrize(("state", "event"), list(product(S, E)))
def test_every_event_has_an_answer_in_every_state(state: EntryState, event: EntryEvent) -> None:
    becomes = LIFE[state][list(E).index(event)]
    if becomes is None:
        with pytest.raises(ForwardingRefused):
            next_state(state, event)
    else:
        assert next_state(state, event) is becomes


def test_each_result_of_the_backend_is_an_event_that_a_sent_entry_takes() -> None:
    assert {state_after(result) for result in RESULT_EVENTS} == {S.ACKNOWLEDGED, S.DISPUTED, S.PARKED, S.QUARANTINED}


def test_a_result_that_this_version_does_not_know_is_kept_as_it_is() -> None:
    assert state_after("set_aside_by_a_later_backend") == "set_aside_by_a_later_backend"


numbers = st.integers(0, 30)


@given(st.lists(st.tuples(st.sampled_from(["sent", "acknowledged", "rewound"]), numbers), max_size=20))
def test_nothing_is_acknowledged_that_was_not_sent_and_a_refusal_changes_nothing(moves: list[tuple[str, int]]) -> None:
    cursor, sent_ever = Cursor(), 0
    for move, number in moves:
        before = cursor
        try:
            cursor = getattr(cursor, move)(number)
        except ForwardingRefused:
            assert cursor == before
            assert number > before.sent_through or (move == "rewound" and number == 0)
            continue
        assert 0 <= cursor.acknowledged_through <= cursor.sent_through
        if move != "rewound":
            assert cursor.acknowledged_through >= before.acknowledged_through
        else:
            assert cursor.acknowledged_through < number, "what the backend expects is sent again"
        sent_ever = max(sent_ever, cursor.sent_through)


def test_rule_13_a_restored_backend_gets_again_what_it_had_acknowledged() -> None:
    cursor = Cursor(sent_through=10, acknowledged_through=10).rewound(4)
    assert cursor == Cursor(sent_through=3, acknowledged_through=3)


def test_a_backend_that_expects_what_was_never_sent_is_refused_as_a_fork() -> None:
    with pytest.raises(ForwardingRefused):
        Cursor(sent_through=10, acknowledged_through=5).rewound(12)
