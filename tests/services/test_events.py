"""Nobody who listens loses an event without being told so, and nobody costs the lane memory."""

import asyncio

import pytest

from agent.services.events import EVENTS_KEPT, RESET, Events
from agent.services.watch import Watch


@pytest.fixture
def events() -> Events:
    return Events(run="a1")


def burst(events: Events, many: int) -> None:
    for number in range(many):
        events.publish("queue", {"depth": number})


def test_a_burst_of_a_thousand_events_reaches_a_reader_that_slept(events: Events) -> None:
    listener = events.subscribe()
    burst(events, EVENTS_KEPT)
    assert [event["data"]["depth"] for event in iter(listener.get_nowait, None)] == list(range(EVENTS_KEPT))


def test_who_does_not_keep_up_gets_one_reset_and_then_what_happens_next(events: Events) -> None:
    listener = events.subscribe()
    burst(events, EVENTS_KEPT + 5)
    told = list(iter(listener.get_nowait, None))
    assert [event["type"] for event in told] == [RESET]
    assert told[0]["id"] == events.last_id
    events.publish("queue", {"depth": 0})
    assert [event["type"] for event in iter(listener.get_nowait, None)] == ["queue"]


def test_memory_is_bounded_however_many_events_and_readers_there_are(events: Events) -> None:
    for _ in range(50):
        events.subscribe()
    burst(events, 20 * EVENTS_KEPT)
    assert len(events._kept) == EVENTS_KEPT


def test_who_comes_back_hears_what_happened_meanwhile(events: Events) -> None:
    burst(events, 3)
    back = events.subscribe(after="a1-1")
    assert [event["id"] for event in iter(back.get_nowait, None)] == ["a1-2", "a1-3"]
    assert events.subscribe(after="a1-3").get_nowait() is None


@pytest.mark.parametrize("after", ["", "b2-1", "a1", "a1-", "a1-4", "a1--1", "a1-٣", "a1-1e3", "a1-" + "9" * 40, "-1"])
def test_an_id_that_names_no_event_of_this_run_gets_a_reset(events: Events, after: str) -> None:
    burst(events, 3)
    told = list(iter(events.subscribe(after=after).get_nowait, None))
    assert [event["type"] for event in told] == [RESET]


def test_what_was_not_told_because_nobody_listened_is_no_gap_that_one_could_miss(events: Events) -> None:
    burst(events, 2)
    before = events.last_id
    events.publish_if_heard("sale", lambda: pytest.fail("nobody listens: nothing is made"))
    assert [event["type"] for event in iter(events.subscribe(after=before).get_nowait, None)] == [RESET]


def test_a_stop_ends_every_reader_after_what_it_has_not_read(events: Events) -> None:
    async def read() -> list[str]:
        listener, told = events.subscribe(), []
        burst(events, 2)
        asyncio.get_running_loop().call_later(0.01, events.close)
        while (event := await listener.get()) is not None:
            told.append(event["type"])
        return told

    assert asyncio.run(asyncio.wait_for(read(), 60)) == ["queue", "queue"]


def test_a_look_tells_what_is_another_than_before_and_nothing_twice(events: Events) -> None:
    printing = {"waiting": 0}
    watch, listener = Watch(events, {"printing": lambda: dict(printing)}), events.subscribe()
    watch.look()
    watch.look()
    printing["waiting"] = 1
    watch.look()
    assert [event["data"]["waiting"] for event in iter(listener.get_nowait, None)] == [0, 1]
