"""The reader of server-sent events: the standard's grammar, and a bound on whatever does not keep to it."""

import json
import sys
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.uplink.event_stream import BYTES_A_WINDOW_MAX, EVENT_BYTES_MAX, WINDOW_S, EventReader, Garbage, PushEvent

STREAM = (
    b":\n\n"
    b'id: c1\nevent: snapshot\ndata: {"lender":"demo","sequence":7}\n\n'
    b'event: policy\r\ndata: {"lender":"demo",\r\ndata: "version":2}\r\n\r\n'
    b'retry: 5\rid: c3\revent: exceptions\rdata:{"cursor":"9"}\r\r'
)
EVENTS = [
    PushEvent("c1", "snapshot", {"lender": "demo", "sequence": 7}),
    PushEvent("c1", "policy", {"lender": "demo", "version": 2}),
    PushEvent("c3", "exceptions", {"cursor": "9"}),
]


def read(*pieces: bytes) -> list[PushEvent]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.feed(piece, 0.0)]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
@example([at + 1 for at, byte in enumerate(STREAM) if byte == ord("\r") for _ in range(2)])  # an empty piece after CR
def test_events_are_the_same_however_the_network_cuts_the_stream(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert read(*(STREAM[a:b] for a, b in pairwise(edges))) == EVENTS


def test_an_event_that_was_not_ended_is_none() -> None:
    assert read(STREAM + b"data: {}\n") == EVENTS


@pytest.mark.parametrize(
    "data",
    [
        *(b"data: nonsense\n\n", b"data: [1]\n\n", b"data: \xff\xfe\n\n", b"id: \x00\ndata: {}\n\n", b"event: x\n\n"),
        *(b"id: " + b"c" * 5000 + b"\ndata: {}\n\n", b"data: " + b"[" * 20_000 + b"\n\n", b'data: {"a":1.5e999}\n\n'),
    ],
)
def test_a_malformed_event_is_left_out_and_the_next_one_is_read(data: bytes) -> None:
    assert [event for event in read(data, STREAM) if event.kind] == EVENTS


@pytest.mark.parametrize("data", [b"x" * (EVENT_BYTES_MAX + 1), b"data: x\n" * EVENT_BYTES_MAX])
def test_a_line_or_an_event_without_end_is_garbage(data: bytes) -> None:
    with pytest.raises(Garbage):
        read(data)


def test_a_flood_is_garbage_and_the_same_amount_in_an_hour_is_not() -> None:
    comment = b":" + b" " * 999 + b"\n"
    count = BYTES_A_WINDOW_MAX // len(comment) + 1
    with pytest.raises(Garbage):
        read(*[comment] * count)
    reader = EventReader()
    for number in range(count):
        assert list(reader.feed(comment, number * 2 * WINDOW_S / count)) == []


@given(st.lists(st.binary(max_size=300), max_size=30))
def test_whatever_comes_is_events_or_garbage(pieces: list[bytes]) -> None:
    assert all(isinstance(event.data, dict) for event in read(*pieces))


def test_an_hour_of_events_and_noise_leaves_nothing_behind() -> None:
    reader = EventReader()
    noise = [b"id: c\n", b"unknown: " + b"x" * 500 + b"\n", b"data: {\n\n", b"\r\n\r", STREAM]

    def kept_bytes() -> int:
        return sum(sys.getsizeof(getattr(reader, name)) for name in EventReader.__slots__)

    sizes = set()
    for second in range(3600):
        list(reader.feed(noise[second % len(noise)], float(second)))
        if second % len(noise) == len(noise) - 1:
            sizes.add(kept_bytes())
    assert max(sizes) - min(sizes) < 1000
    assert json.dumps(EVENTS[0].data)
