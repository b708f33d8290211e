"""The backend as `run` sees it: no sale waits longer than its budget, and "nothing was sent" is never said wrongly."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from agent.core.cbor import Value
from agent.errors import UplinkUnavailable
from agent.ports import AttemptUnknown
from agent.uplink.breaker import State
from agent.uplink.channel import Handler
from agent.uplink.faults import NoAnswer
from agent.uplink.lane_side import LinkState
from agent.uplink.link import Link
from agent.uplink.remote import BackendRefused, RemoteBackend
from agent.uplink.sales import Sales
from tests.uplink.world import APPROVAL, REQUEST, Lane, channels, client_of, problem, run, running, until

BUDGET_S = 1.5


class Shop:
    """`run` and `uplink` in one loop, with a backend whose answers the test decides, one after the other."""

    def __init__(self, *does: Exception | httpx.Response | float) -> None:
        self.does = list(does)
        self.bodies: list[bytes] = []
        self.link = Link(failures_max=3)
        self.lane = Lane()
        self.backend = RemoteBackend(self.lane)
        sales = Sales(client_of(self._respond), self.link, "lane-1")
        self.here, self.there = channels(self.backend.handlers, sales.handlers)
        self.backend.attach(self.here)

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.content)
        does = self.does.pop(0)
        if isinstance(does, Exception):
            raise does
        if isinstance(does, float):
            await asyncio.sleep(does)
            return httpx.Response(200, json=APPROVAL)
        return does

    async def comes_up(self) -> None:
        self.link.probing()
        self.link.timed(None)
        await self.there.call("link", ["up", ""], 1)


def at_shop(test: Callable[[Shop], Awaitable[Any]], *does: Exception | httpx.Response | float) -> Any:
    async def open_shop() -> Any:
        shop = Shop(*does)
        with running(shop.here.run(), shop.there.run()):
            await shop.comes_up()
            return await test(shop)

    return run(open_shop())


async def authorize(shop: Shop) -> Any:
    """The decision, None, or the name of the fault."""
    try:
        return await shop.backend.authorize(REQUEST, BUDGET_S)
    except (UplinkUnavailable, BackendRefused) as fault:
        return type(fault)


REFUSED, RESET = httpx.ConnectError("refused"), httpx.ReadError("reset")
OUTCOMES: dict[str, tuple[list[Exception | httpx.Response | float], Any]] = {
    "approved": ([httpx.Response(200, json=APPROVAL)], APPROVAL),
    "just_in_time": ([1.4], APPROVAL),
    "too_late": ([1.6], None),
    "never": ([10_000.0], None),
    "no_connection": ([REFUSED], UplinkUnavailable),
    "connection_takes_too_long": ([httpx.ConnectTimeout("slow")], UplinkUnavailable),
    "torn_and_then_answered": ([RESET, httpx.Response(200, json=APPROVAL)], APPROVAL),
    "torn_twice": ([RESET, RESET], None),
    "torn_and_then_no_connection": ([RESET, REFUSED], None),
    "server_error": ([httpx.Response(500)], None),
    "html": ([httpx.Response(200, html="<p>hello")], None),
    "busy": ([httpx.Response(429)], None),
    "refuses_the_lane": ([problem(403, "lane_unknown")], BackendRefused),
    "decided_on_another_body": ([problem(409, "idempotency_conflict")], None),
}


@pytest.mark.parametrize(("does", "outcome"), OUTCOMES.values(), ids=OUTCOMES.keys())
def test_a_sale_learns_exactly_what_is_known(does: Any, outcome: Any) -> None:
    assert at_shop(authorize, *does) == outcome


def test_a_second_try_sends_the_same_bytes() -> None:
    async def test(shop: Shop) -> None:
        await authorize(shop)
        assert len(shop.bodies) == 2
        assert shop.bodies[0] == shop.bodies[1]

    at_shop(test, RESET, httpx.Response(200, json=APPROVAL))


def test_two_tries_together_stay_within_the_budget() -> None:
    async def test(shop: Shop) -> None:
        assert await authorize(shop) is None
        assert asyncio.get_running_loop().time() <= BUDGET_S

    at_shop(test, RESET, 1.45)


def test_the_first_connection_that_fails_is_the_last_that_a_sale_pays_for() -> None:
    async def test(shop: Shop) -> None:
        assert await authorize(shop) is UplinkUnavailable
        began = asyncio.get_running_loop().time()
        assert await authorize(shop) is UplinkUnavailable
        assert asyncio.get_running_loop().time() == began
        assert shop.link.probe_wanted.is_set()
        assert len(shop.bodies) == 1

    at_shop(test, REFUSED)


def test_a_backend_that_hangs_costs_three_sales_their_budget_and_the_fourth_nothing() -> None:
    async def test(shop: Shop) -> None:
        assert [await authorize(shop) for _ in range(3)] == [None, None, None]
        began = asyncio.get_running_loop().time()
        assert await authorize(shop) is UplinkUnavailable
        assert asyncio.get_running_loop().time() == began

    at_shop(test, 9.0, 9.0, 9.0)


def test_an_uplink_that_hangs_costs_one_sale_its_budget_and_the_next_nothing() -> None:
    async def hangs(body: Value) -> Value:
        await asyncio.sleep(10**6)
        return body

    async def test() -> None:
        backend = RemoteBackend(Lane())
        here, there = channels(backend.handlers, {"authorize": hangs})
        backend.attach(here)
        with running(here.run(), there.run()):
            await there.call("link", ["up", ""], 1)
            assert await backend.authorize(REQUEST, BUDGET_S) is None
            assert not backend.available
            with pytest.raises(UplinkUnavailable):
                await backend.authorize(REQUEST, BUDGET_S)
            assert asyncio.get_running_loop().time() == pytest.approx(BUDGET_S)
            await there.call("link", ["up", ""], 1)
            assert backend.available

    run(test())


def test_an_uplink_that_dies_leaves_the_outcome_unknown_and_the_link_down() -> None:
    async def test(shop: Shop) -> None:
        sale = asyncio.ensure_future(authorize(shop))
        await asyncio.sleep(1)
        shop.there.close()
        assert await sale is None
        assert not shop.backend.available
        assert await authorize(shop) is UplinkUnavailable

    at_shop(test, 1000.0)


def test_a_new_uplink_takes_over_and_is_not_trusted_before_it_says_how_the_link_is() -> None:
    async def test(shop: Shop) -> None:
        old = shop.here
        here, there = channels(shop.backend.handlers, {})
        shop.backend.attach(here)
        assert old.closed
        assert not shop.backend.available
        with running(here.run(), there.run()):
            await there.call("link", ["up", ""], 1)
            assert shop.backend.available

    at_shop(test)


@pytest.mark.parametrize("state", [LinkState.DOWN, LinkState.REFUSED])
def test_no_sale_waits_while_the_link_is_told_to_be_anything_but_up(state: LinkState) -> None:
    async def test(shop: Shop) -> None:
        await shop.there.call("link", [str(state), "why"], 1)
        assert await authorize(shop) is UplinkUnavailable
        assert not shop.bodies
        assert shop.lane.links[-1] == (state, "why")

    at_shop(test)


INQUIRIES: dict[str, tuple[Exception | httpx.Response, Any]] = {
    "decided": (httpx.Response(200, json=APPROVAL), APPROVAL),
    "never_seen": (problem(404, "authorization_unknown"), AttemptUnknown()),
    "a_proxy_knows_no_such_page": (httpx.Response(404, html="not here"), None),
    "no_answer": (httpx.Response(500), None),
}


@pytest.mark.parametrize(("does", "outcome"), INQUIRIES.values(), ids=INQUIRIES.keys())
def test_only_the_backend_itself_can_say_that_it_has_never_seen_an_attempt(does: Any, outcome: Any) -> None:
    assert at_shop(lambda shop: shop.backend.inquire("shoplend", "sale-0001", 1, BUDGET_S), does) == outcome


MATCHED = {"matched": True, "differences": [], "totals": {"approved": {"count": 1, "minor": 12800}}, "chain_head": "aa"}


def test_the_day_is_settled_even_while_no_sale_may_wait_for_the_backend() -> None:
    async def test(shop: Shop) -> None:
        for _ in range(3):
            shop.link.timed(NoAnswer("late"))
        assert shop.link.breaker.state is State.OPEN
        assert await shop.backend.settle({"lender": "shoplend", "batch": 4}) == MATCHED

    at_shop(test, httpx.Response(200, json=MATCHED))


def test_a_settlement_that_comes_too_early_says_how_far_the_journal_is() -> None:
    async def test(shop: Shop) -> None:
        with pytest.raises(BackendRefused) as refused:
            await shop.backend.settle({"lender": "shoplend", "batch": 4})
        assert (refused.value.problem, refused.value.fields) == ("journal_behind", {"acknowledged_through": 12})

    at_shop(test, problem(409, "journal_behind", acknowledged_through=12))


def test_a_settlement_without_an_answer_may_be_repeated() -> None:
    async def test(shop: Shop) -> None:
        with pytest.raises(UplinkUnavailable):
            await shop.backend.settle({"lender": "shoplend", "batch": 4})

    at_shop(test, httpx.Response(500))


def test_a_poke_is_sent_once_until_the_uplink_asks_for_entries() -> None:
    async def test() -> None:
        pokes: list[Value] = []

        async def poke(body: Value) -> Value:
            pokes.append(body)
            return None

        backend = RemoteBackend(Lane())
        backend.poke()  # nobody is there: nothing happens
        here, there = channels(backend.handlers, {"poke": poke})
        backend.attach(here)
        with running(here.run(), there.run()):
            for _ in range(100):
                backend.poke()
            await until(lambda: len(pokes) == 1)
            await there.call("next_upload", [500, 1 << 20, False], 1)
            backend.poke()
            await until(lambda: len(pokes) == 2)

    run(test())


@pytest.mark.parametrize(
    "reply", [None, [], ["answer"], ["answer", {"approved": True}], ["not_sent"], ["refused", 1, 2, 3], "answer", 7]
)
def test_an_uplink_of_another_version_leaves_an_unknown_outcome_at_worst(reply: Value) -> None:
    async def says(body: Value) -> Value:
        return reply

    async def test() -> None:
        backend = RemoteBackend(Lane())
        handlers: dict[str, Handler] = {"authorize": says}
        here, there = channels(backend.handlers, handlers)
        backend.attach(here)
        with running(here.run(), there.run()):
            await there.call("link", ["up", ""], 1)
            assert await backend.authorize(REQUEST, BUDGET_S) is None

    run(test())


def test_nobody_connected_means_nothing_sent() -> None:
    async def test() -> None:
        with pytest.raises(UplinkUnavailable):
            await RemoteBackend(Lane()).inquire("shoplend", "sale-0001", 1, BUDGET_S)

    run(test())
