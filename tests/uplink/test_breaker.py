"""The breaker's table is total, and its promise to sales holds for every sequence of events."""

from hypothesis import given
from hypothesis import strategies as st

from agent.uplink.breaker import TRANSITIONS, Breaker, Event, State

EVENTS = st.lists(st.sampled_from(Event), max_size=40)


def after(events: list[Event], failures_max: int = 3) -> Breaker:
    breaker = Breaker(failures_max)
    for event in events:
        breaker = breaker.after(event)
    return breaker


CLOSED = [Event.PROBE, Event.SUCCESS]


def test_every_state_knows_every_event() -> None:
    assert set(TRANSITIONS) == {(state, event) for state in State for event in Event}


def test_nothing_is_assumed_at_the_start() -> None:
    assert not Breaker(3).lets_sales_wait


def test_it_opens_after_as_many_failures_in_a_row_as_allowed() -> None:
    assert after([*CLOSED, Event.FAILURE, Event.FAILURE]).lets_sales_wait
    assert not after([*CLOSED, Event.FAILURE, Event.FAILURE, Event.FAILURE]).lets_sales_wait


def test_a_success_between_failures_starts_the_count_again() -> None:
    events = [*CLOSED, Event.FAILURE, Event.FAILURE, Event.SUCCESS, Event.FAILURE, Event.FAILURE]
    assert after(events).lets_sales_wait


def test_it_opens_at_the_first_connection_that_cannot_be_made() -> None:
    assert after([*CLOSED, Event.NOT_REACHED]).state is State.OPEN


def test_a_probe_that_fails_leaves_it_open() -> None:
    assert after([*CLOSED, Event.NOT_REACHED, Event.PROBE, Event.FAILURE]).state is State.OPEN


@given(EVENTS, st.integers(1, 5))
def test_only_a_probe_and_a_success_after_it_let_sales_wait_again(events: list[Event], failures_max: int) -> None:
    breaker = Breaker(failures_max)
    for event in events:
        before, breaker = breaker, breaker.after(event)
        if breaker.lets_sales_wait and not before.lets_sales_wait:
            assert before.state is State.HALF_OPEN
            assert event is Event.SUCCESS


@given(EVENTS, st.integers(1, 5))
def test_a_dead_backend_costs_sales_at_most_the_allowed_number_of_waits(events: list[Event], failures_max: int) -> None:
    breaker = after(events, failures_max)
    waits = 0
    while breaker.lets_sales_wait:
        breaker = breaker.after(Event.FAILURE)
        waits += 1
    assert waits <= failures_max


@given(EVENTS)
def test_a_backend_that_comes_back_is_always_used_again(events: list[Event]) -> None:
    assert after([*events, *CLOSED]).lets_sales_wait
