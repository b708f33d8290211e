"""Every entry reaches the backend exactly once and in order, whatever is lost on the way."""

import asyncio
import random
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.uplink.breaker import State
from agent.uplink.journal_upload import REFUSED_PAUSE_S, JournalUpload
from agent.uplink.link import Link
from tests.uplink.world import Lane, Server, client_of, pace, problem, run, running, until


class Forwarding:
    """An uploader between a lane and a server."""

    def __init__(self, entries: int = 0, batch_max: int = 10, poll_s: float = 15) -> None:
        self.lane, self.server, self.link = Lane(), Server(), Link(3)
        self.poked = asyncio.Event()
        self.record(entries)
        self.upload = JournalUpload(
            self.lane, client_of(self.server), self.link, pace(),
            lane_id="lane-1", entries_max=batch_max, poll_s=poll_s, poked=self.poked,
        )  # fmt: skip

    def record(self, entries: int) -> None:
        count = len(self.lane.entries)
        self.lane.entries += [f"entry {number}".encode() for number in range(count + 1, count + entries + 1)]

    def is_done(self) -> bool:
        return self.lane.cursor.acknowledged_through == len(self.lane.entries)


LOST = ("lost", httpx.ConnectError("refused"))
LATE = ("unheard", httpx.ReadTimeout("late"))
RESET = ("unheard", httpx.ReadError("reset"))
FAULT = st.sampled_from(
    [LOST, LATE, RESET, httpx.Response(500), httpx.Response(429), httpx.Response(200, html="<p>portal")]
)


@given(st.integers(0, 60), st.lists(FAULT, max_size=12), st.integers(1, 25))
@settings(max_examples=60, deadline=None)
def test_every_entry_arrives_exactly_once_and_in_order_through_every_fault(
    entries: int, faults: list[Any], batch_max: int
) -> None:
    async def test() -> None:
        world = Forwarding(entries, batch_max)
        world.server.faults = list(faults)
        with running(world.upload.run()):
            await until(world.is_done, step_s=1)
        assert world.server.stored == world.lane.entries
        assert set(world.lane.results) == set(range(1, entries + 1))
        assert all(results.count("accepted") <= 1 for results in world.lane.results.values())

    run(test())


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_an_uploader_that_crashes_at_any_moment_is_replaced_without_loss_or_double(seed: int) -> None:
    async def test() -> None:
        rng, world = random.Random(seed), Forwarding(50, 7)
        world.server.faults = [RESET, LOST] * 3

        async def slow(request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(rng.random())
            response = await world.server(request)
            await asyncio.sleep(rng.random())
            return response

        while not world.is_done():
            world.upload = JournalUpload(
                world.lane, client_of(slow), world.link, pace(),
                lane_id="lane-1", entries_max=7, poll_s=15, poked=world.poked,
            )  # fmt: skip
            with running(world.upload.run()):
                await asyncio.sleep(rng.random() * 4)
        assert world.server.stored == world.lane.entries

    run(test())


def test_a_lost_answer_is_followed_by_the_same_bytes_which_the_backend_calls_duplicates() -> None:
    async def test() -> None:
        world = Forwarding(3)
        world.server.faults = [LATE]
        with running(world.upload.run()):
            await until(world.is_done)
        assert world.lane.results == {1: ["duplicate"], 2: ["duplicate"], 3: ["duplicate"]}
        assert world.server.stored == world.lane.entries

    run(test())


def test_what_the_backend_did_not_acknowledge_is_sent_again_though_it_took_the_upload() -> None:
    async def test() -> None:
        world = Forwarding(5)
        rows = [{"number": number, "result": "accepted"} for number in (1, 2)]
        world.server.faults = [httpx.Response(200, json={"acknowledged_through": 2, "results": rows})]
        world.server.stored = [b"entry 1", b"entry 2"]
        with running(world.upload.run()):
            await until(world.is_done)
        assert world.server.stored == world.lane.entries

    run(test())


def test_a_poke_sends_a_new_entry_at_once_and_not_at_the_next_look() -> None:
    async def test() -> None:
        world = Forwarding(poll_s=1000)
        with running(world.upload.run()):
            await asyncio.sleep(5)
            world.record(1)
            world.poked.set()
            await until(world.is_done)
        assert asyncio.get_running_loop().time() == pytest.approx(5, abs=0.1)

    run(test())


def test_an_entry_recorded_while_an_upload_is_on_its_way_is_sent_right_after_it() -> None:
    async def test() -> None:
        world = Forwarding(1, poll_s=1000)

        async def meanwhile(request: httpx.Request) -> httpx.Response:
            if not world.server.stored:
                await asyncio.sleep(1)
                world.record(1)
                world.poked.set()
            return await world.server(request)

        world.upload._client = client_of(meanwhile)
        with running(world.upload.run()):
            await until(lambda: len(world.server.stored) == 2)
        assert asyncio.get_running_loop().time() < 2

    run(test())


def test_without_a_poke_it_looks_by_itself_now_and_then() -> None:
    async def test() -> None:
        world = Forwarding(poll_s=15)
        with running(world.upload.run()):
            await asyncio.sleep(1)
            world.record(1)
            await until(world.is_done)
        assert asyncio.get_running_loop().time() <= 16

    run(test())


def test_a_dead_backend_is_not_hammered() -> None:
    async def test() -> None:
        world = Forwarding(1)
        world.server.always = LOST
        with running(world.upload.run()):
            await asyncio.sleep(3600)
        assert len(world.server.seen) < 3600 / 60 * 4  # full jitter: half of the cap on the average

    run(test())


def test_the_pause_that_a_busy_backend_asks_for_is_kept() -> None:
    async def test() -> None:
        world = Forwarding(1)
        world.server.faults = [httpx.Response(429, headers={"Retry-After": "40"})]
        with running(world.upload.run()):
            await until(world.is_done, step_s=1)
        assert world.server.seen_at[1] >= 40

    run(test())


def test_the_queue_drains_as_soon_as_the_link_is_back() -> None:
    async def test() -> None:
        world = Forwarding(1)
        world.server.faults = [httpx.Response(429, headers={"Retry-After": "300"})]
        with running(world.upload.run()):
            await asyncio.sleep(1)
            world.link.probing()
            world.link.timed(None)
            await until(world.is_done)
        assert asyncio.get_running_loop().time() < 2

    run(test())


def test_a_restored_backend_that_forgot_entries_gets_them_again() -> None:
    async def test() -> None:
        world = Forwarding(20, 5)
        with running(world.upload.run()):
            await until(world.is_done)
            del world.server.stored[7:]
            world.record(1)
            world.poked.set()
            await until(lambda: world.is_done() and len(world.server.stored) == 21)
        assert world.server.stored == world.lane.entries
        assert not world.lane.forks

    run(test())


def test_a_fork_stops_the_upload_until_people_have_decided() -> None:
    async def test() -> None:
        world = Forwarding(3)
        world.server.stored = [b"entry 1", b"somebody else's"]
        with running(world.upload.run()):
            await until(lambda: world.lane.forks)
            requests = len(world.server.seen)
            world.record(1)
            world.poked.set()
            await asyncio.sleep(3600)
            assert len(world.server.seen) == requests
            assert world.lane.forks == [(1, 3, b"h" * 32)]
            world.server.stored = [b"entry 1"]
            world.lane.forks.clear()
            await until(world.is_done)
        assert world.server.stored == world.lane.entries

    run(test())


def test_a_backend_that_expects_what_was_never_sent_is_a_fork() -> None:
    async def test() -> None:
        world = Forwarding(3)
        world.server.faults = [problem(409, "journal_gap", expected=400)]
        with running(world.upload.run()):
            await until(lambda: world.lane.forks)
        assert world.lane.forks == [(1, 400, None)]

    run(test())


@pytest.mark.parametrize("expected", [None, "12", 0, -3, True, 1.5])
def test_a_gap_that_names_no_number_is_a_fork_and_not_a_guess(expected: object) -> None:
    async def test() -> None:
        world = Forwarding(3)
        world.server.faults = [problem(409, "journal_gap", expected=expected)]
        with running(world.upload.run()):
            await until(lambda: world.lane.forks)
        assert world.lane.forks == [(1, None, None)]

    run(test())


def test_a_backend_that_repeats_its_gap_is_asked_again_but_not_in_a_tight_loop() -> None:
    async def test() -> None:
        world = Forwarding(3)
        world.server.always = problem(409, "journal_gap", expected=1)
        with running(world.upload.run()):
            await asyncio.sleep(600)
        assert 5 < len(world.server.seen) < 60

    run(test())


def test_a_backend_that_acknowledges_nothing_is_asked_again_but_not_in_a_tight_loop() -> None:
    async def test() -> None:
        world = Forwarding(3)
        world.server.always = httpx.Response(200, json={"acknowledged_through": 0, "results": []})
        with running(world.upload.run()):
            await asyncio.sleep(600)
        assert 5 < len(world.server.seen) < 60
        assert not world.lane.results

    run(test())


def test_a_refused_lane_looks_twice_a_minute_and_forgets_nothing() -> None:
    async def test() -> None:
        world = Forwarding(3)
        world.server.always = problem(403, "lane_unknown")
        with running(world.upload.run()):
            await asyncio.sleep(600)
            assert len(world.server.seen) <= 600 / REFUSED_PAUSE_S + 1
            world.server.always = None
            await until(world.is_done, step_s=1)

    run(test())


def test_a_slow_upload_says_nothing_about_how_long_a_sale_would_wait() -> None:
    async def test() -> None:
        world = Forwarding(3)
        world.link.probing()
        world.link.timed(None)
        world.server.faults = [LATE] * 10
        with running(world.upload.run()):
            await until(world.is_done, step_s=1)
        assert world.link.breaker.lets_sales_wait

    run(test())


def test_an_upload_that_succeeds_while_the_link_is_down_asks_for_a_probe() -> None:
    async def test() -> None:
        world = Forwarding(1)
        assert world.link.breaker.state is State.OPEN
        with running(world.upload.run()):
            await until(world.is_done)
        assert world.link.probe_wanted.is_set()
        assert not world.link.breaker.lets_sales_wait

    run(test())
