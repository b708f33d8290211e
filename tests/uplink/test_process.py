"""The uplink as a whole: either side may die at any moment, and what one loop meets is no harm to the others."""

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.cbor import Value
from agent.errors import LedgerUnavailable, UplinkUnavailable
from agent.uplink.channel import Channel, Handler, memory_pair
from agent.uplink.process import UplinkSettings, run_uplink
from agent.uplink.remote import RemoteBackend
from tests.uplink.world import APPROVAL, REQUEST, Lane, Server, client_of, run, running, until


class System:
    """`run` and `uplink` joined in memory; `run` can be away."""

    def __init__(self, spool: Path = Path("/nonexistent")) -> None:
        self.lane, self.server = Lane(), Server()
        self.server.answers["POST", "/v1/authorizations"] = httpx.Response(200, json=APPROVAL)
        self.backend = RemoteBackend(self.lane)
        self.is_away = False
        self.channel: Channel | None = None
        self.connections = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.settings = UplinkSettings(lane="lane-1", spool_dir=spool)

    async def connect(self, handlers: Mapping[str, Handler]) -> Channel:
        if self.is_away:
            raise ConnectionRefusedError("nobody listens")
        self.connections += 1
        a, b = memory_pair()
        self.channel = Channel(*a, self.backend.handlers)
        self.backend.attach(self.channel)
        self._tasks.append(asyncio.ensure_future(self.channel.run()))
        return Channel(*b, handlers)

    async def uplink(self) -> None:
        await run_uplink(client_of(self.server), self.connect, random.Random(1), self.settings)

    def record(self, count: int) -> None:
        first = len(self.lane.entries)
        self.lane.entries += [f"entry {number}".encode() for number in range(first, first + count)]
        self.backend.poke()

    def is_done(self) -> bool:
        return self.lane.cursor.acknowledged_through == len(self.lane.entries)


def test_from_nothing_to_the_first_online_sale_it_takes_no_poll() -> None:
    async def test() -> None:
        system = System()
        with running(system.uplink()):
            await until(lambda: system.backend.available)
            assert await system.backend.authorize(REQUEST, 1.5) == APPROVAL
        assert asyncio.get_running_loop().time() < 0.1

    run(test())


def test_an_agent_that_restarts_is_found_again_within_seconds() -> None:
    async def test() -> None:
        system = System()
        with running(system.uplink()):
            await until(lambda: system.backend.available)
            system.is_away = True
            assert system.channel is not None
            system.channel.close()
            await asyncio.sleep(600)
            assert not system.backend.available
            system.is_away = False
            began = asyncio.get_running_loop().time()
            await until(lambda: system.backend.available)
            assert asyncio.get_running_loop().time() - began <= 2.1

    run(test())


def test_an_agent_that_is_away_is_not_hammered() -> None:
    async def test() -> None:
        system = System()
        tries = 0

        async def refuse(handlers: Mapping[str, Handler]) -> Channel:
            nonlocal tries
            tries += 1
            raise FileNotFoundError("no socket")

        with running(run_uplink(client_of(system.server), refuse, random.Random(1), system.settings)):
            await asyncio.sleep(600)
        assert 300 < tries < 1200

    run(test())


@given(st.integers(0, 2**32))
@settings(max_examples=5, deadline=None)
def test_entries_arrive_exactly_once_while_uplink_and_agent_and_network_die_at_random(seed: int) -> None:
    async def test() -> None:
        system, rng = System(), random.Random(seed)
        faults: list[Any] = [
            ("lost", httpx.ConnectError("refused")),
            ("unheard", httpx.ReadError("reset")),
            httpx.Response(500),
        ]
        uplink = asyncio.ensure_future(system.uplink())
        for _ in range(25):
            system.record(rng.randrange(4))
            system.server.always = rng.choice([None, None, *faults])
            await asyncio.sleep(rng.random() * 20)
            if rng.random() < 0.3:
                uplink.cancel()
                uplink = asyncio.ensure_future(system.uplink())
            elif rng.random() < 0.3 and system.channel is not None:
                system.channel.close()
        system.server.always = None
        await until(system.is_done, step_s=1)
        uplink.cancel()
        assert system.server.stored == system.lane.entries

    run(test())


def test_a_loop_that_fails_for_good_leaves_the_others_and_the_sales_alone() -> None:
    class Broken(Lane):
        async def next_upload(self, entries_max: int, bytes_max: int, *, older: bool = False) -> Any:
            raise LedgerUnavailable("the disk is gone")

    async def test() -> None:
        system = System()
        system.lane = Broken()
        system.backend = RemoteBackend(system.lane)
        with running(system.uplink()):
            await asyncio.sleep(600)
            assert system.backend.available
            assert await system.backend.authorize(REQUEST, 1.5) == APPROVAL
        assert system.connections == 1
        assert len(system.lane.times) > 30

    run(test())


def test_a_bug_in_a_loop_is_logged_and_the_loop_begins_again(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        system = System()

        def bug(request: httpx.Request) -> httpx.Response:
            raise ZeroDivisionError

        system.server.answers["GET", "/v1/policy"] = bug
        with running(system.uplink()):
            await asyncio.sleep(60)
            assert system.backend.available
            system.record(3)
            await until(system.is_done)

    run(test())
    assert "Documents begins again" in caplog.text


def test_a_recorded_entry_is_on_its_way_at_once() -> None:
    async def test() -> None:
        system = System()
        with running(system.uplink()):
            await until(lambda: system.backend.available)
            await asyncio.sleep(1)
            began = asyncio.get_running_loop().time()
            system.record(1)
            await until(system.is_done)
            assert asyncio.get_running_loop().time() - began < 0.1

    run(test())


def test_after_a_fork_the_agent_says_when_to_go_on() -> None:
    async def test() -> None:
        system = System()
        system.server.stored = [b"somebody else's"]
        with running(system.uplink()):
            system.record(1)
            await until(lambda: system.lane.forks)
            await asyncio.sleep(100)
            assert len(system.lane.forks) == 1
            system.server.stored = []
            system.lane.forks.clear()
            system.backend.poke()
            await until(system.is_done)

    run(test())


def test_an_agent_of_another_version_is_no_crash() -> None:
    async def nonsense(body: Value) -> Value:
        return ["from", {"the": "future"}]

    async def test() -> None:
        kinds = ("lenders", "next_upload", "report", "signed_time", "document", "snapshot_ready", "link")
        connected = 0

        async def connect(handlers: Mapping[str, Handler]) -> Channel:
            nonlocal connected
            connected += 1
            a, b = memory_pair()
            tasks.append(asyncio.ensure_future(Channel(*a, dict.fromkeys(kinds, nonsense)).run()))
            return Channel(*b, handlers)

        tasks: list[asyncio.Task[None]] = []
        system = System()
        with running(run_uplink(client_of(system.server), connect, random.Random(1), system.settings)) as (uplink,):
            await asyncio.sleep(100)
            assert not uplink.done()
        assert connected == 1

    run(test())


def test_a_sale_during_the_loss_of_the_agent_does_not_bring_the_uplink_down() -> None:
    async def test() -> None:
        system = System()

        async def slow(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/v1/authorizations":
                await asyncio.sleep(1)
            return await system.server(request)

        with running(run_uplink(client_of(slow), system.connect, random.Random(1), system.settings)):
            await until(lambda: system.backend.available)
            sale = asyncio.ensure_future(system.backend.authorize(REQUEST, 1.5))
            await asyncio.sleep(0.5)
            assert system.channel is not None
            system.channel.close()
            assert await sale is None
            with pytest.raises(UplinkUnavailable):
                await system.backend.authorize(REQUEST, 1.5)
            await until(lambda: system.backend.available)
            assert await system.backend.authorize(REQUEST, 1.5) == APPROVAL

    run(test())
