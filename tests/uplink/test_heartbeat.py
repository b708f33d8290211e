"""The heartbeat is the only probe: it finds a link that is back, and tells `run` how the link is."""

import asyncio

import httpx
import pytest

from agent.core.forwarding import Cursor
from agent.uplink.faults import NoAnswer, NotReached
from agent.uplink.heartbeat import Heartbeat
from agent.uplink.lane_side import LaneReport, LinkState
from agent.uplink.link import Link
from tests.uplink.world import Lane, Server, client_of, pace, problem, run, running, until


class Watch:
    def __init__(self, lane: Lane | None = None) -> None:
        self.lane, self.server, self.link = lane or Lane(), Server(), Link(3)
        self.heartbeat = Heartbeat(self.lane, client_of(self.server), self.link, pace(15), budget_s=1.5, poll_s=15)

    @property
    def state(self) -> LinkState | None:
        return self.lane.links[-1][0] if self.lane.links else None


def test_the_signed_time_goes_to_the_lane_with_the_nonce_that_it_answers() -> None:
    async def test() -> None:
        watch = Watch()
        with running(watch.heartbeat.run()):
            await until(lambda: len(watch.lane.times) == 2)
        assert watch.lane.times == [(n.to_bytes(16, "big"), b"signed:" + n.to_bytes(16, "big")) for n in (0, 1)]

    run(test())


class Told(Lane):
    """A lane that says how much of its journal was acknowledged."""

    async def report(self, lender: str) -> LaneReport:
        report = await super().report(lender)
        return LaneReport(report.nonce, report.facts, {1: self.cursor.acknowledged_through})


@pytest.mark.parametrize(("stored_through", "goes_on_at"), [(2, 2), (0, 0), (5, 5), (9, 5), (None, 5)])
def test_a_restored_backend_gets_again_what_it_forgot_even_if_nothing_new_is_to_be_sent(
    stored_through: int | None, goes_on_at: int
) -> None:
    async def test() -> None:
        watch = Watch(Told(entries=[b"entry"] * 5, cursor=Cursor(5, 5)))
        journals = None if stored_through is None else [{"epoch": 1, "stored_through": stored_through}]
        answer = {"time": "c2lnbmVk", "journals": journals}
        watch.server.answers["POST", "/v1/heartbeat"] = httpx.Response(200, json=answer)
        with running(watch.heartbeat.run()):
            await until(lambda: watch.state is LinkState.UP)
        assert watch.lane.cursor.acknowledged_through == goes_on_at

    run(test())


def test_the_first_beat_comes_at_once_and_lets_sales_wait() -> None:
    async def test() -> None:
        watch = Watch()
        with running(watch.heartbeat.run()):
            await until(lambda: watch.state is LinkState.UP)
        assert watch.link.breaker.lets_sales_wait
        assert asyncio.get_running_loop().time() < 0.1

    run(test())


@pytest.mark.parametrize(
    "fault", [("lost", httpx.ConnectError("refused")), ("unheard", httpx.ReadTimeout("late")), httpx.Response(502)]
)
def test_a_link_that_is_down_is_told_and_found_again_within_seconds(fault: object) -> None:
    async def test() -> None:
        watch = Watch()
        watch.server.always = fault  # type: ignore[assignment]
        with running(watch.heartbeat.run()):
            await asyncio.sleep(600)
            assert watch.state is LinkState.DOWN
            assert not watch.link.breaker.lets_sales_wait
            assert len(watch.server.seen) > 30
            watch.server.always = None
            back_at = asyncio.get_running_loop().time()
            await until(lambda: watch.state is LinkState.UP)
            assert asyncio.get_running_loop().time() - back_at <= 16

    run(test())


def test_a_sale_that_finds_the_link_dead_makes_it_look_at_once() -> None:
    async def test() -> None:
        watch = Watch()
        with running(watch.heartbeat.run()):
            await until(lambda: watch.state is LinkState.UP)
            watch.server.always = ("lost", httpx.ConnectError("refused"))
            await asyncio.sleep(1)
            watch.link.timed(NotReached("refused"))
            await until(lambda: watch.state is LinkState.DOWN)
            assert asyncio.get_running_loop().time() < 1.2

    run(test())


def test_a_backend_that_answers_slower_than_a_sale_can_wait_is_down() -> None:
    async def test() -> None:
        watch = Watch()

        async def slow(request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(2)
            return await watch.server(request)

        watch.heartbeat._client = client_of(slow)
        with running(watch.heartbeat.run()):
            await asyncio.sleep(60)
        assert {state for state, _ in watch.lane.links} == {LinkState.DOWN}

    run(test())


def test_sales_that_fail_while_the_heartbeat_succeeds_keep_the_link_down() -> None:
    async def test() -> None:
        watch = Watch()

        async def meanwhile(request: httpx.Request) -> httpx.Response:
            watch.link.timed(NoAnswer("a sale's request was not answered"))
            return await watch.server(request)

        watch.heartbeat._client = client_of(meanwhile)
        with running(watch.heartbeat.run()):
            await until(lambda: watch.lane.links)
        assert watch.state is LinkState.DOWN

    run(test())


def test_a_lane_that_is_refused_learns_why() -> None:
    async def test() -> None:
        watch = Watch()
        watch.server.always = problem(403, "lane_unknown")
        with running(watch.heartbeat.run()):
            await until(lambda: watch.lane.links)
        assert watch.lane.links[0] == (LinkState.REFUSED, "lane_unknown")

    run(test())


def test_the_lane_hears_with_every_beat_how_the_link_is() -> None:
    async def test() -> None:
        watch = Watch()
        with running(watch.heartbeat.run()):
            await asyncio.sleep(46)
        assert [state for state, _ in watch.lane.links] == [LinkState.UP] * 4

    run(test())


def test_the_pause_that_a_busy_backend_asks_for_is_kept() -> None:
    async def test() -> None:
        watch = Watch()
        watch.server.faults = [httpx.Response(429, headers={"Retry-After": "100"})] * 3
        with running(watch.heartbeat.run()):
            await until(lambda: watch.state is LinkState.UP, step_s=1)
        first, *_, last = watch.server.seen_at
        assert last - first >= 300

    run(test())
