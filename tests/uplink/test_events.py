"""Listening: what an event wakes, and what becomes of a stream that breaks, lies, floods or does not get through."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from agent.uplink.events import SILENT_S, WAY_KEPT_S, Events, Way
from agent.uplink.link import Link
from tests.uplink.world import LENDER, Lane, client_of, pace, problem, run, running, until

ACCOUNT, OTHER = bytes(range(16)), bytes(16)


def frame(kind: str, cursor: str = "c", **data: Any) -> bytes:
    return f"id: {cursor}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def recall(*accounts: bytes, cursor: str = "c") -> bytes:
    return frame("recall", cursor, lender=LENDER, accounts=[account.hex() for account in accounts], reason="why")


def streaming(pieces: AsyncIterator[bytes]) -> httpx.Response:
    return httpx.Response(200, headers={"Content-Type": "text/event-stream; charset=utf-8"}, content=pieces)


def polled(*events: tuple[str, str], cursor: str = "p") -> httpx.Response:
    rows = [{"id": cursor_of, "type": kind, "data": {}} for kind, cursor_of in events]
    return httpx.Response(200, json={"events": rows, "cursor": cursor})


class Backend:
    """Answers /v1/events as a test says; remembers when it was asked, how, and from which cursor."""

    def __init__(self) -> None:
        self.stream: Callable[[], Awaitable[httpx.Response]] = self.refuse
        self.long_poll: Callable[[], Awaitable[httpx.Response]] = self.refuse
        self.asked: list[tuple[float, str, str | None, str | None]] = []
        self.open = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        is_stream = request.headers["Accept"] == "text/event-stream"
        cursor = request.headers.get("Last-Event-ID") or request.url.params.get("after")
        self.asked.append((now_s(), "stream" if is_stream else "poll", cursor, request.url.params.get("wait_s")))
        return await (self.stream() if is_stream else self.long_poll())

    async def refuse(self) -> httpx.Response:
        return problem(404, "not_found")

    def says(self, *pieces: bytes, then_s: float = 100_000, comment_s: float = 15) -> None:
        async def body() -> AsyncIterator[bytes]:
            self.open += 1
            try:
                yield b":\n\n"
                for piece in pieces:
                    yield piece
                left_s = then_s
                while left_s > 0:
                    await asyncio.sleep(min(comment_s, left_s))
                    left_s -= comment_s
                    yield b":\n\n"
            finally:
                self.open -= 1

        async def answer() -> httpx.Response:
            return streaming(body())

        self.stream = answer


class World:
    def __init__(self) -> None:
        self.lane, self.backend, self.link = Lane(), Backend(), Link(3)
        self.client = client_of(self.backend)
        self.events = Events(self.lane, self.client, self.link, pace(), poll_s=15)
        self.woken = {topic: self.link.recovery(topic) for topic in ("snapshot", "keys", "policy", "exceptions")}

    def ways(self) -> list[str]:
        return [way for _, way, _, _ in self.backend.asked]


def now_s() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("kind", ["snapshot", "keys", "policy", "exceptions"])
def test_news_wakes_who_polls_for_it_at_once_and_nobody_else(kind: str) -> None:
    async def test() -> None:
        world = World()
        world.backend.says(frame(kind, lender=LENDER))
        with running(world.events.run()):
            await until(world.woken[kind].is_set)
            assert now_s() < 0.1
            assert [topic for topic, event in world.woken.items() if event.is_set()] == [kind]

    run(test())


def test_events_of_a_later_version_and_malformed_recalls_are_passed_over() -> None:
    async def test() -> None:
        world = World()
        strange = [frame("recall", lender=LENDER, accounts=wrong, reason="r") for wrong in (["zz"], [7], "abc", 3)]
        world.backend.says(frame("brand_new", a=1), frame("config"), *strange, frame("keys", lender=LENDER))
        with running(world.events.run()):
            await until(world.woken["keys"].is_set)
        assert world.lane.recalls == []
        assert world.ways() == ["stream"]

    run(test())


def test_a_revocation_is_the_refusal_that_any_call_would_meet() -> None:
    async def test() -> None:
        world = World()
        world.backend.says(frame("revoked"))
        with running(world.events.run()):
            await until(lambda: world.client.access.refusal == "lane_revoked")

    run(test())


def test_recalled_leases_are_given_back_at_once_and_what_a_sale_held_when_it_is_over() -> None:
    async def test() -> None:
        world = World()
        world.lane.busy = {OTHER}
        world.backend.says(recall(ACCOUNT, OTHER))
        with running(world.events.run()):
            await until(lambda: world.lane.recalls)
            assert now_s() < 0.1
            assert world.lane.recalls == [(LENDER, (ACCOUNT, OTHER), "why")]
            await until(lambda: len(world.lane.recalls) == 2)
            assert now_s() < 16
            world.lane.busy = set()
            await until(lambda: len(world.lane.recalls) == 3)
            await asyncio.sleep(100)
        assert world.lane.recalls[1:] == [(LENDER, (OTHER,), "why")] * 2

    run(test())


def test_a_stream_that_breaks_goes_on_where_it_was() -> None:
    async def test() -> None:
        world = World()
        world.backend.says(frame("keys", "c1"), frame("policy", "c2"), then_s=60)
        with running(world.events.run()):
            await until(lambda: len(world.backend.asked) == 3)
        assert [cursor for _, _, cursor, _ in world.backend.asked] == [None, "c2", "c2"]
        assert set(world.ways()) == {"stream"}

    run(test())


def test_a_dead_line_is_noticed_after_three_comments_that_did_not_come() -> None:
    async def test() -> None:
        world = World()
        world.backend.says(comment_s=10_000)
        with running(world.events.run()):
            await until(lambda: len(world.backend.asked) == 2)
            assert SILENT_S <= now_s() < SILENT_S + 1
            assert world.backend.open == 1, "the dead one was let go"
        assert set(world.ways()) == {"stream"}

    run(test())


async def _held_back() -> httpx.Response:
    await asyncio.sleep(100_000)
    raise AssertionError("nobody waits so long")


async def _html() -> httpx.Response:
    return httpx.Response(200, headers={"Content-Type": "text/html"}, content=b"<html>log in</html>")


async def _not_acceptable() -> httpx.Response:
    return httpx.Response(406)


async def _not_found() -> httpx.Response:
    return problem(404, "not_found")


async def _empty() -> httpx.Response:
    async def nothing() -> AsyncIterator[bytes]:
        return
        yield b""

    return streaming(nothing())


@pytest.mark.parametrize("proxy", [_held_back, _html, _not_acceptable, _not_found, _empty])
def test_where_no_stream_gets_through_long_polls_do_and_the_stream_is_tried_again_later(
    proxy: Callable[[], Awaitable[httpx.Response]],
) -> None:
    async def test() -> None:
        world = World()

        async def long_poll() -> httpx.Response:
            await asyncio.sleep(25)
            return polled(("snapshot", "p1"), cursor="p2")

        world.backend.stream, world.backend.long_poll = proxy, long_poll
        with running(world.events.run()):
            await until(world.woken["snapshot"].is_set)
            assert world.events.way is Way.LONG_POLL
            assert now_s() < 60
            await until(lambda: world.ways().count("stream") == 2, step_s=1)
            assert WAY_KEPT_S <= now_s() < WAY_KEPT_S + 60
        polls = [asked for asked in world.backend.asked if asked[1] == "poll"]
        assert [cursor for _, _, cursor, _ in polls[:3]] == [None, "p2", "p2"]
        assert {wait_s for _, _, _, wait_s in polls} == {"25"}

    run(test())


def test_where_long_polls_do_not_get_through_either_short_ones_do_at_the_usual_pace() -> None:
    async def test() -> None:
        world = World()
        waits: list[bool] = []

        async def gateway_time_out() -> httpx.Response:
            if world.backend.asked[-1][3] == "0":
                return polled(("keys", "k"))
            waits.append(True)
            return httpx.Response(504)

        world.backend.long_poll = gateway_time_out
        with running(world.events.run()):
            await until(world.woken["keys"].is_set)
            assert world.events.way is Way.POLL
            await asyncio.sleep(300)
        assert len(waits) == 1
        assert 300 / 15 / 2 <= world.ways().count("poll") <= 300 / 15 + 2

    run(test())


@pytest.mark.parametrize(
    "busy", [httpx.Response(503, headers={"Retry-After": "7"}), problem(403, "lane_revoked"), httpx.ConnectError("")]
)
def test_a_backend_that_is_away_or_refuses_the_lane_says_nothing_about_the_way(busy: Any) -> None:
    async def test() -> None:
        world = World()

        async def away() -> httpx.Response:
            if isinstance(busy, Exception):
                raise busy
            return httpx.Response(busy.status_code, headers=busy.headers, content=busy.content)

        world.backend.stream = away
        with running(world.events.run()):
            await asyncio.sleep(300)
        assert set(world.ways()) == {"stream"}
        assert 4 < len(world.backend.asked) < 60

    run(test())


def test_a_backend_that_restarts_is_not_stormed_and_is_found_within_its_pause() -> None:
    async def test() -> None:
        world = World()
        world.backend.says(then_s=1)
        with running(world.events.run()):
            await asyncio.sleep(600)
        assert len(world.backend.asked) < 60, "streams that end at once are asked for ever more slowly"

    run(test())


@pytest.mark.parametrize("noise", [b"x" * 70_000, b"\x00" * 70_000, b":" + b"y" * 65_000 + b"\n"])
def test_a_stream_of_garbage_costs_a_bounded_look_and_ever_longer_pauses(noise: bytes) -> None:
    async def test() -> None:
        world = World()
        sent = 0

        async def flood() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                sent += len(noise)
                yield noise

        async def answer() -> httpx.Response:
            return streaming(flood())

        world.backend.stream = answer
        with running(world.events.run()):
            await asyncio.sleep(600)
        assert len(world.backend.asked) < 60
        assert sent < 300 << 20
        assert set(world.ways()) == {"stream"}

    run(test())


def test_a_long_poll_that_never_waits_is_not_asked_in_a_circle() -> None:
    async def test() -> None:
        world = World()

        async def at_once() -> httpx.Response:
            return polled(("keys", "k"))

        world.backend.long_poll = at_once
        with running(world.events.run()):
            await asyncio.sleep(300)
        assert world.ways().count("poll") < 60

    run(test())
