"""The private channel: who called learns what became of the call, and a peer that speaks garbage is cut off."""

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import cbor
from agent.core.cbor import Value
from agent.errors import NotEnrolled, UplinkUnavailable
from agent.uplink import channel as channel_file
from agent.uplink.channel import IN_FLIGHT_MAX, MESSAGE_BYTES_MAX, CallFailed, Channel, NoReply, memory_pair
from tests.uplink.world import channels, run, running, until


async def echo(body: Value) -> Value:
    return body


async def never(body: Value) -> Value:
    await asyncio.sleep(10**6)
    return body


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(VALUES)
@settings(max_examples=50)
def test_what_is_sent_arrives_and_comes_back(body: Value) -> None:
    async def test() -> None:
        here, there = channels({}, {"echo": echo})
        with running(here.run(), there.run()):
            try:
                cbor.encode([1, "echo", body])
            except cbor.CborError:
                return
            assert await here.call("echo", body, 1) == body

    run(test())


def test_both_sides_call_each_other_at_the_same_time() -> None:
    async def test() -> None:
        async def ask_back(body: Value) -> Value:
            return [await there.call("echo", "back", 1), body]

        here, there = channels({"echo": echo}, {"ask": ask_back})
        with running(here.run(), there.run()):
            assert await here.call("ask", 1, 1) == ["back", 1]

    run(test())


def test_replies_reach_their_callers_in_whatever_order_they_come() -> None:
    async def slow(body: Value) -> Value:
        assert isinstance(body, int)
        await asyncio.sleep(50 - body)
        return body

    async def test() -> None:
        here, there = channels({}, {"slow": slow})
        with running(here.run(), there.run()):
            assert await asyncio.gather(*(here.call("slow", n, 100) for n in range(40))) == list(range(40))

    run(test())


def test_no_reply_in_time_is_an_unknown_outcome_and_a_late_reply_disturbs_nobody() -> None:
    async def late(body: Value) -> Value:
        await asyncio.sleep(2)
        return body

    async def test() -> None:
        here, there = channels({}, {"late": late, "echo": echo})
        with running(here.run(), there.run()):
            with pytest.raises(NoReply):
                await here.call("late", "old", 1)
            await asyncio.sleep(5)
            assert await here.call("echo", "new", 1) == "new"

    run(test())


def test_a_peer_that_dies_ends_every_waiting_call_at_once() -> None:
    async def test() -> None:
        here, there = channels({}, {"never": never})
        with running(here.run(), there.run()):
            calls = [asyncio.ensure_future(here.call("never", n, 1000)) for n in range(5)]
            await asyncio.sleep(1)
            there.close()
            assert all(isinstance(end, NoReply) for end in await asyncio.gather(*calls, return_exceptions=True))
            assert asyncio.get_running_loop().time() < 2
            with pytest.raises(UplinkUnavailable):
                await here.call("echo", None, 1)

    run(test())


def test_work_for_a_peer_that_died_is_given_up() -> None:
    async def test() -> None:
        gave_up = asyncio.Event()

        async def work(body: Value) -> Value:
            try:
                return await never(body)
            finally:
                gave_up.set()

        here, there = channels({}, {"work": work})
        with running(here.run(), there.run()):
            call = asyncio.ensure_future(here.call("work", None, 1000))
            await asyncio.sleep(1)
            here.close()
            await gave_up.wait()
            with pytest.raises(NoReply):
                await call

    run(test())


def test_more_calls_than_may_be_in_flight_are_refused_before_anything_is_sent() -> None:
    async def test() -> None:
        here, there = channels({}, {"never": never})
        with running(here.run(), there.run()):
            calls = [asyncio.ensure_future(here.call("never", n, 10)) for n in range(IN_FLIGHT_MAX)]
            await asyncio.sleep(1)
            with pytest.raises(UplinkUnavailable):
                await here.call("never", "one more", 10)
            await asyncio.gather(*calls, return_exceptions=True)

    run(test())


def test_a_peer_that_floods_gets_refusals_and_no_more_work_done() -> None:
    async def test() -> None:
        end, raw = memory_pair()
        flooded = Channel(*end, {"never": never})
        with running(flooded.run()):
            for number in range(1, IN_FLIGHT_MAX + 2):
                raw.writer.write(framed(cbor.encode([number, "never", None])))
            length = int.from_bytes(await raw.reader.readexactly(4), "big")
            reply = cbor.decode(await raw.reader.readexactly(length))
            assert reply == [IN_FLIGHT_MAX + 1, False, ["busy", "too many calls at once"]]

    run(test())


async def _refuses(body: Value) -> Value:
    raise NotEnrolled("no keys yet")


async def _breaks(body: Value) -> Value:
    raise ZeroDivisionError


async def _floats(body: Value) -> Value:
    return 1.5  # type: ignore[return-value]


async def _too_much(body: Value) -> Value:
    return bytes(MESSAGE_BYTES_MAX)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (_refuses, "not_enrolled"),
        (_breaks, "internal"),
        (_floats, "reply"),
        (_too_much, "reply"),
        (None, "unknown_kind"),
    ],
)
def test_a_handler_that_fails_costs_its_call_and_not_the_channel(handler: object, reason: str) -> None:
    async def test() -> None:
        handlers = {"echo": echo} | ({"it": handler} if handler else {})
        here, there = channels({}, handlers)  # type: ignore[arg-type]
        with running(here.run(), there.run()):
            with pytest.raises(CallFailed) as failed:
                await here.call("it", None, 1)
            assert failed.value.reason == reason
            assert await here.call("echo", 1, 1) == 1

    run(test())


def test_a_message_that_is_too_large_never_leaves() -> None:
    async def test() -> None:
        here, there = channels({}, {"echo": echo})
        with running(here.run(), there.run()):
            with pytest.raises(UplinkUnavailable):
                await here.call("echo", bytes(MESSAGE_BYTES_MAX), 1)
            assert await here.call("echo", b"small", 1) == b"small"

    run(test())


def test_notices_arrive_without_an_answer_and_are_free_on_a_dead_channel() -> None:
    async def test() -> None:
        told: list[Value] = []

        async def hear(body: Value) -> Value:
            told.append(body)
            return None

        here, there = channels({}, {"hear": hear})
        with running(here.run(), there.run()):
            here.tell("hear", 1)
            await until(lambda: told == [1])
            there.close()
            await until(lambda: here.closed)
            here.tell("hear", 2)

    run(test())


GARBAGE = {
    "oversize": b"\xff\xff\xff\xff",
    "over_the_limit_of_this_side": framed(cbor.encode([1, "echo", bytes(1000)])),
    "not_cbor": framed(b"\xff\x00"),
    "trailing": framed(cbor.encode([1, "echo", None]) + b"\x00"),
    "a_float": framed(b"\xfb" + bytes(8)),
    "not_an_array": framed(cbor.encode({"id": 1})),
    "too_short": framed(cbor.encode([1, "echo"])),
    "negative_id": framed(cbor.encode([-1, "echo", None])),
    "id_is_bool": framed(cbor.encode([True, "echo", None])),
    "kind_is_bytes": framed(cbor.encode([1, b"echo", None])),
    "reply_to_nothing": framed(cbor.encode([7, True, None])),
    "empty": framed(b""),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_a_peer_that_speaks_garbage_is_cut_off_with_one_line(garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        end, raw = memory_pair()
        channel = Channel(*end, {"echo": echo}, read_bytes_max=500)
        raw.writer.write(garbage)
        await channel.run()
        assert channel.closed
        assert await raw.reader.readexactly(0) == b""

    with caplog.at_level(logging.WARNING, channel_file.__name__):
        run(test())
    assert len(caplog.records) == 1


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_no_bytes_whatever_bring_the_channel_to_raise(data: bytes) -> None:
    async def test() -> None:
        end, raw = memory_pair()
        channel = Channel(*end, {"echo": echo})
        raw.writer.write(data)
        raw.writer.write(framed(data))
        with running(channel.run()) as (serving,):
            await asyncio.sleep(1)
            raw.writer.close()
            await serving

    run(test())


def test_half_a_message_and_then_the_end_is_a_crash_and_no_garbage(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        end, raw = memory_pair()
        channel = Channel(*end, {})
        raw.writer.write(framed(cbor.encode([1, "echo", None]))[:-1])
        raw.writer.close()
        await channel.run()

    run(test())
    assert not caplog.records
