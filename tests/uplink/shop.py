"""A shop in one process and nothing in it that is not real: a backend behind TLS, and a lane whose uplink talks to it.

Channel and loop are shared; files, sockets, certificates and signatures are what they are in the field.
"""

import asyncio
import os
import random
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.app import enrolled_lenders
from agent.core.money import Money
from agent.core.receipt import Seller
from agent.demo.props import free_port
from agent.lane import Lane, LaneSettings
from agent.lane_desk import LaneDesk
from agent.machine import MachineClock
from agent.services.checkout import Order
from agent.services.wallets import Patience
from agent.store.ledger import SqliteLedger
from agent.store.snapshot_files import SnapshotFiles
from agent.uplink import enrollment
from agent.uplink.channel import Channel, Handler, memory_pair
from agent.uplink.client import BackendClient
from agent.uplink.connection import Timeouts, make_client
from agent.uplink.identity import Enrolled, load_journal_key
from agent.uplink.process import UplinkSettings, run_uplink
from agent.uplink.remote import RemoteBackend
from backend import server
from backend.compose import compose
from backend.database import close, open_database, transaction
from backend.demo_data import DEMO_LENDER, Phone, compose_demo
from backend.enrollment import NewLane, create_code
from backend.identity import Authority
from backend.snapshots import Plan

LENDER = DEMO_LENDER
LIMIT_MINOR = 100_000
LEASE_MINOR = 10_000
NEVER_S = 3600.0


@dataclass
class Shop:
    """`poll_s` is an hour: whatever arrives sooner was pushed."""

    directory: Path
    port: int = field(default_factory=free_port)
    poll_s: float = NEVER_S
    allowance_minor: int = LEASE_MINOR

    def __post_init__(self) -> None:
        self.authority = Authority.create(now_s())
        key, certificate = self.authority.issue_server(["127.0.0.1", "localhost"], now_s())
        for name, data in (
            ("ca.crt", self.authority.certificate_pem),
            ("server.key", key),
            ("server.crt", certificate),
        ):
            (self.directory / name).write_bytes(data)
        database = open_database(self.database)
        self.backend, self.phones = compose_demo(
            database,
            [LIMIT_MINOR, LIMIT_MINOR],
            clock=now_s,
            randomness=os.urandom,
            plan=Plan(self.allowance_minor),
            authority=self.authority,
        )
        self._serving: asyncio.Task[None] | None = None

    @property
    def database(self) -> str:
        return str(self.directory / "backend.db")

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def code(self, lane: str) -> str:
        new = NewLane(lane, "store-1", "merchant-1", "示例超市", "5411", "CNY")
        with transaction(self.backend.database):
            return create_code(new, self.authority, now_s=now_s(), randomness=os.urandom)

    def open(self) -> None:
        """Serve; what is cut and told is the test's to say."""
        serving = server.serve(self.backend, self.directory, "127.0.0.1", self.port, refresh_s=NEVER_S)
        self._serving = asyncio.create_task(serving)

    async def restart(self) -> None:
        """Another process over the same tables."""
        await self.stop()
        self.backend = compose(
            open_database(self.database),
            clock=now_s,
            randomness=os.urandom,
            authority=self.authority,
            plan=Plan(self.allowance_minor),
        )
        self.open()
        await self.listens()

    async def stop(self) -> None:
        assert self._serving is not None
        signal.raise_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            await self._serving
        close(self.backend.database)

    async def listens(self) -> None:
        await happens(lambda: connects(self.port))

    def show_pass(self, phone: int = 0) -> str:
        return self.phones[phone].show_pass(now_s=now_s(), cti=os.urandom(8), user_verified=True)

    def account(self, phone: int = 0) -> Phone:
        return self.phones[phone]


@dataclass
class Till:
    """A real lane with its uplink beside it in the same loop."""

    shop: Shop
    directory: Path
    enrolled: Enrolled

    def __post_init__(self) -> None:
        desk = LaneDesk()
        self.backend = RemoteBackend(desk)
        self.ledger = SqliteLedger.open(str(self.directory / "ledger.db"))
        self.lane = Lane(
            LaneSettings(
                self.enrolled.lane,
                self.enrolled.store,
                1,
                Seller("示例超市", "人民路店", "1"),
                bytes(32),
                rails={row.rail: row.name for row in self.enrolled.rails},
                patience=Patience(poll_s=0.2, wait_max_s=3),
            ),
            enrolled_lenders(self.enrolled),
            load_journal_key(self.directory),
            ledger=self.ledger,
            snapshots=SnapshotFiles(self.directory / "snapshots"),
            backend=self.backend,
            printer=None,
            clock=MachineClock(),
            random_bytes=os.urandom,
            free_bytes=lambda: 10**12,
        )
        desk.serve(self.lane)
        self._channels: set[asyncio.Task[None]] = set()

    async def uplink(self) -> None:
        settings = UplinkSettings(
            lane=self.enrolled.lane,
            spool_dir=self.directory / "spool",
            poll_s=self.shop.poll_s,
            free_space_min_bytes=0,
            backoff_max_s=0.5,
        )
        async with make_client(self.directory, self.shop.url, Timeouts(10.0, 60.0)) as http:
            client = BackendClient(http, transfer_timeout_s=60.0)
            await run_uplink(client, self._connect, random.Random(1), settings)

    async def _connect(self, handlers: Mapping[str, Handler]) -> Channel:
        ours, theirs = memory_pair()
        channel = Channel(*ours, self.backend.handlers)
        self.backend.attach(channel)
        task = asyncio.create_task(channel.run())
        self._channels.add(task)
        task.add_done_callback(self._channels.discard)
        return Channel(*theirs, handlers)

    @property
    def sequence(self) -> int:
        return self.lane.lenders.first.snapshot_sequence

    def left_minor(self, phone: int = 0) -> int:
        view = self.lane.leases.lease(LENDER, self.shop.phones[phone].account)
        return view.remaining_minor if view else 0

    async def sell(self, minor: int, sale_id: str, phone: int = 0) -> Any:
        return await self.lane.checkout.sell(Order(sale_id, Money(minor, "CNY"), "5411"), self.shop.show_pass(phone))


@asynccontextmanager
async def open_shop(directory: Path, **options: Any) -> AsyncIterator[tuple[Shop, Till]]:
    """A shop that is ready to sell: the line is up, policy and snapshot are installed."""
    shop = Shop(directory, **options)
    shop.open()
    await shop.listens()
    identity = directory / "lane"
    enrolled = await enrollment.enroll(shop.url, shop.code("lane-1"), identity)
    shop.backend.refresh_snapshots()
    till = Till(shop, identity, enrolled)
    uplink = asyncio.create_task(till.uplink())
    try:
        await happens(lambda: till.backend.available and till.sequence and till.lane.lenders.first.policy)
        yield shop, till
    finally:
        uplink.cancel()
        await asyncio.gather(uplink, return_exceptions=True)
        till.ledger.close()
        await shop.stop()


async def happens(condition: Callable[[], object], within_s: float = 60.0) -> float:
    """Wait until it does; how long that took, in seconds."""
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < within_s, "what the test waits for does not happen"
        await asyncio.sleep(0.005)
    return time.monotonic() - began_s


def connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def now_s() -> int:
    return int(time.time())
