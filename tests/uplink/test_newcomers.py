"""A lender that joined the backend reaches a lane that is enrolled; one that left takes no other with it."""

import asyncio
import json

import httpx

from agent.uplink.heartbeat import Heartbeat
from agent.uplink.lane_side import LinkState
from agent.uplink.link import Link
from agent.uplink.newcomers import Newcomers
from tests.uplink.world import LENDER, Lane, Server, b64, client_of, pace, problem, run, running, unb64, until

NEW = "newlend"
KEYS = httpx.Response(200, content=b"its keys", headers={"Content-Type": "application/cose", "ETag": '"1"'})


class Watch:
    """Heartbeat and newcomers of one lane, as the process runs them."""

    def __init__(self, served: list[str], *, accepts: bool = True) -> None:
        self.lane, self.server = Lane(accepts=accepts), Server()
        self.server.answers = {
            ("POST", "/v1/heartbeat"): self._beat,
            ("GET", "/v1/lenders"): httpx.Response(200, json={"lenders": [_row(name) for name in (LENDER, NEW)]}),
            ("GET", "/v1/keys"): KEYS,
        }
        self._served, link, client = served, Link(3), client_of(self.server)
        self.newcomers = Newcomers(self.lane, client, link)
        self.heartbeat = Heartbeat(self.lane, client, link, pace(15), budget_s=1.5, poll_s=15, meet=self.newcomers.meet)

    def _beat(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        if asked["lender"] not in self._served:
            return problem(404, "lender_unknown")
        return httpx.Response(200, json={"time": b64(unb64(asked["nonce"])), "lenders": self._served})

    def asked_for(self, path: str) -> int:
        return self.server.seen.count(("GET", path))


def _row(name: str) -> dict[str, str]:
    return {"lender": name, "introduction": b64(name.encode())}


def test_a_lender_that_the_heartbeat_names_is_introduced_with_its_keys() -> None:
    async def test() -> None:
        watch = Watch([LENDER, NEW])
        with running(watch.heartbeat.run(), watch.newcomers.run()):
            await until(lambda: watch.lane.introductions)
            await asyncio.sleep(100)
        assert watch.lane.introductions == [(NEW.encode(), b"its keys")]
        assert watch.asked_for("/v1/lenders") == 1

    run(test())


def test_nobody_is_asked_for_while_all_are_known() -> None:
    async def test() -> None:
        watch = Watch([LENDER])
        with running(watch.heartbeat.run(), watch.newcomers.run()):
            await asyncio.sleep(100)
        assert (watch.lane.introductions, watch.asked_for("/v1/lenders")) == ([], 0)

    run(test())


def test_one_that_the_lane_does_not_believe_is_asked_for_again_and_stops_nothing() -> None:
    async def test() -> None:
        watch = Watch([LENDER, NEW], accepts=False)
        with running(watch.heartbeat.run(), watch.newcomers.run()):
            await until(lambda: len(watch.lane.introductions) > 2)
        assert watch.lane.links[-1][0] is LinkState.UP

    run(test())


def test_a_lender_that_the_backend_serves_no_more_leaves_the_link_to_the_others() -> None:
    async def test() -> None:
        watch = Watch([LENDER])
        watch.lane.others = ["gone"]
        with running(watch.heartbeat.run(), watch.newcomers.run()):
            await asyncio.sleep(100)
        assert {state for state, _ in watch.lane.links} == {LinkState.UP}

    run(test())
