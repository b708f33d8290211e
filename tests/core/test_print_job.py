"""The life of a print job: every event has its answer in every state, and nothing in doubt is ever forgotten."""

from itertools import product

import pytest

from agent.core.print_job import (
    FINAL,
    TRANSITIONS,
    UNPRINTED,
    PrintJobEvent,
    PrintJobRefused,
    PrintJobState,
    next_state,
)

S, E = PrintJobState, PrintJobEvent
# One row a state; what begin, came_out, held_back, doubt, lapse make of it. None: refused.
LIFE: dict[PrintJobState, tuple[PrintJobState | None, ...]] = {
    S.QUEUED: (S.PRINTING, None, None, None, S.EXPIRED),
    S.PRINTING: (None, S.PRINTED, S.QUEUED, S.DOUBTFUL, None),
    S.PRINTED: (None, None, None, None, None),
    S.DOUBTFUL: (S.PRINTING, None, None, None, S.EXPIRED),
    S.EXPIRED: (None, None, None, None, None),
}


@pytest.mark.parametrize(("state", "event"), list(product(S, E)))
def test_every_event_has_an_answer_in_every_state(state: PrintJobState, event: PrintJobEvent) -> None:
    becomes = LIFE[state][list(E).index(event)]
    if becomes is not None:
        assert next_state(state, event) is becomes
        return
    with pytest.raises(PrintJobRefused) as refused:
        next_state(state, event)
    assert (refused.value.state, refused.value.event) == (state, event)


def test_an_end_is_an_end_and_whatever_is_not_one_is_still_to_be_printed() -> None:
    going_on = {state for state, _ in TRANSITIONS}
    assert going_on == set(UNPRINTED)
    assert going_on | FINAL == set(S)
    assert not going_on & FINAL


def test_what_is_in_doubt_is_waiting_again_only_by_way_of_a_new_try() -> None:
    assert {state for (state, _), becomes in TRANSITIONS.items() if becomes is S.QUEUED} == {S.PRINTING}
    assert {becomes for (state, _), becomes in TRANSITIONS.items() if state is S.DOUBTFUL} == {S.PRINTING, S.EXPIRED}
