"""A lane hears once that it is no longer served, whichever call was refused, and once when it is served again."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from agent.uplink.access import AccessTold
from agent.uplink.client import BackendClient
from agent.uplink.faults import ACCESS_REFUSALS, BackendFault
from agent.uplink.lane_side import Upload
from tests.uplink.world import LENDER, Lane, Server, client_of, problem, run, running, until

Call = Callable[[BackendClient], Any]


async def _layer(client: BackendClient) -> None:
    async for _ in client.layer("/v1/layers/7", 0):
        pass


CALLS: dict[str, Call] = {
    "authorize": lambda c: c.authorize("key", b"{}", 1),
    "inquire": lambda c: c.inquire(LENDER, "sale-0001", 1, 1),
    "settle": lambda c: c.settle({}, 1),
    "heartbeat": lambda c: c.heartbeat(LENDER, bytes(16), {}, 1),
    "journal": lambda c: c.journal("lane-1", Upload(1, 1, (b"entry",), b"signature")),
    "document": lambda c: c.document("keys", LENDER, None),
    "snapshot": lambda c: c.snapshot(LENDER, None),
    "layer": _layer,
}


async def beat(client: BackendClient) -> None:
    await client.heartbeat(LENDER, bytes(16), {}, 1)


async def refused(server: Server, client: BackendClient, kind: str, call: Call = beat) -> None:
    server.always = problem(403, kind)
    with pytest.raises(BackendFault):
        await call(client)
    server.always = None


@pytest.mark.parametrize("kind", sorted(ACCESS_REFUSALS))
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_refusal_of_the_lane_is_heard_with_any_call(call: Call, kind: str) -> None:
    async def test() -> None:
        server, lane = Server(), Lane()
        client = client_of(server)
        with running(AccessTold(lane, client.access).run()):
            await refused(server, client, kind, call)
            await until(lambda: lane.standing)
        assert lane.standing == [kind]

    run(test())


def test_it_is_told_once_and_its_end_too() -> None:
    async def test() -> None:
        server, lane = Server(), Lane()
        client = client_of(server)
        with running(AccessTold(lane, client.access).run()):
            for _ in range(3):
                await refused(server, client, "lane_revoked")
                await asyncio.sleep(1)
            for _ in range(3):
                await beat(client)
                await asyncio.sleep(1)
        assert lane.standing == ["lane_revoked", None]

    run(test())


def test_a_journal_that_is_still_taken_does_not_mean_that_the_lane_is_served() -> None:
    async def test() -> None:
        server, lane = Server(), Lane()
        client = client_of(server)
        with running(AccessTold(lane, client.access).run()):
            await refused(server, client, "lane_replaced")
            await client.journal("lane-1", Upload(1, 1, (b"entry",), b"signature"))
            await asyncio.sleep(1)
        assert lane.standing == ["lane_replaced"]

    run(test())


def test_a_refusal_of_one_request_says_nothing_of_the_lane() -> None:
    async def test() -> None:
        server, lane = Server(), Lane()
        client = client_of(server)
        with running(AccessTold(lane, client.access).run()):
            for answer in (problem(403, "lane_mismatch"), httpx.Response(403), problem(404, "sale_unknown")):
                server.faults = [answer]
                with pytest.raises(BackendFault):
                    await beat(client)
            await asyncio.sleep(1)
        assert lane.standing == []

    run(test())


def test_an_agent_that_was_restarted_is_told_what_the_uplink_knows() -> None:
    async def test() -> None:
        server, lane, next_lane = Server(), Lane(), Lane()
        client = client_of(server)
        with running(AccessTold(lane, client.access).run()):
            await refused(server, client, "lane_revoked")
            await until(lambda: lane.standing)
        with running(AccessTold(next_lane, client.access).run()):
            await until(lambda: next_lane.standing)
        assert next_lane.standing == ["lane_revoked"]

    run(test())
