"""A lane behind its local API: a real Unix socket, and a story that another thread tells as a POS would live it."""

import asyncio
import http.client
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from typing import Any

from starlette.types import ASGIApp

from agent.core.journal import JournalError
from agent.errors import LedgerCorrupt
from agent.lane_desk import LaneDesk
from agent.local.api import create_app
from agent.local.client import LocalClient, RequestRefused
from agent.local.page_links import PageLinks
from agent.local.server import make_server
from agent.local.services import LocalServices, Shop
from agent.overview import lane_status
from agent.services.explaining import explanation
from agent.services.operators import OperatorDesk
from agent.store.operator_file import OperatorFile
from drivers.rendering.svg import qr_svg
from tests.services.lanes import LENDER, Till
from tests.uplink.world import run_real

SECRET = bytes(range(32))
Story = Callable[[LocalClient], Any]


class ServedLane:
    """The lane behind its local API, for a story that is told in another thread as a POS would live it."""

    def __init__(self, till: Till) -> None:
        self.till, self.path = till, till.directory / "agent.sock"
        self.client, self.port = LocalClient(self.path, timeout_s=30), 0
        self.within_s = 120.0
        self.page_links = PageLinks()
        self.book = OperatorFile(till.directory / "operators.json")

    @property
    def operators(self) -> OperatorDesk:
        lane, clock = self.till.lane, self.till.clock
        return OperatorDesk(self.book, lane.ledger, lambda: lane.clock.read(LENDER), clock, os.urandom)

    def app(self, **others: Any) -> ASGIApp:
        """The application, its devices left out unless they are given."""
        lane = self.till.lane
        given: dict[str, Any] = {
            "counter": lane.counter,
            "checkout": lane.checkout,
            "holds": lane.holds,
            "slip_refunds": lane.slip_refunds,
            "lane": lane.settings.lane,
            "settlement": lane.settlement,
            "leases": lane.leases,
            "restoration": lane.restoration,
            "earlier": lane.earlier,
            "insights": lane.insights,
            "slips": lane.slips,
            "shifts": lane.shifts,
            "events": lane.events,
            "operators": self.operators,
            "category": "5411",
            "currency": "CNY",
            "lenders": lambda: [LENDER],
            "shop": Shop("Corner Shop", "West", "zh-CN"),
            "wallets": {},
            "draw_code": qr_svg,
            "page_links": self.page_links,
            "new_sale_id": lambda: "0190-new-sale",
            "status": lambda: lane_status(lane, LaneDesk(lane)),
            "explain": lambda sale_id: explanation(self.till.ledger, sale_id),
            "verify_journal": self.verified,
            **others,
        }
        return create_app(LocalServices(**({field.name: None for field in fields(LocalServices)} | given)), SECRET)

    def tell(self, story: Story, **others: Any) -> Any:
        """In at most ``within_s``."""
        return run_real(self.serve(story, **others), self.within_s)

    async def serve(self, story: Story, **others: Any) -> Any:
        """The lane is there for as long as the story is told."""
        server, bound = make_server(self.app(**others), self.path, port=self.port)
        self.till.lane.http_failed = lambda: server.http_fault
        serving = asyncio.create_task(server.serve(bound))
        try:
            while not server.started:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            self.loop = asyncio.get_running_loop()
            return await asyncio.to_thread(story, self.client)
        finally:
            self.till.lane.events.close()
            server.stop()
            await serving

    async def verified(self) -> dict[str, Any]:
        try:
            head = await self.till.lane.verify_chain()
        except JournalError as error:
            raise LedgerCorrupt(str(error)) from error
        return {"number": head.number, "verified": True}

    def scan(self, code: str) -> None:
        self.loop.call_soon_threadsafe(self.till.counter.scanned, code.encode(), "counter")

    def given_up(self, client: LocalClient, sale_id: str) -> None:
        """Give up waiting for a wallet as soon as somebody waits."""
        for _ in range(1_500):
            with suppress(RequestRefused):
                client.post(f"/v1/sales/{sale_id}/abandonment")
                return
            time.sleep(0.02)
        raise AssertionError(f"sale {sale_id} never waits for a wallet")

    def raw(self, method: str, path: str, body: bytes | None = None) -> tuple[int, str, bytes]:
        """A request as no client of ours would make it: status, media type, body."""
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.path))
        connection.request(method, path, body)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, response.headers["Content-Type"], data
