"""The life of a lane's identity against the real backend over TLS: renewed, revoked, replaced, and what paper saves."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.services.slips import Claims
from agent.uplink import enrollment
from agent.uplink.certificate import Renewal
from agent.uplink.client import BackendClient
from agent.uplink.connection import Line, Timeouts, make_client
from agent.uplink.identity import load_certificate, load_journal_key
from agent.uplink.lane_keys import public_der
from backend import access
from backend.database import transaction
from drivers.document import Qr
from tests.uplink.shop import LENDER, Shop, Till, happens, open_shop
from tests.uplink.world import Lane

TIMEOUTS = Timeouts(30, 60)


@asynccontextmanager
async def client_of(till: Till) -> AsyncIterator[BackendClient]:
    async with make_client(till.directory, till.shop.url, TIMEOUTS) as http:
        yield BackendClient(http, transfer_timeout_s=60)


def live(test: object) -> None:
    asyncio.run(asyncio.wait_for(test, 120))  # type: ignore[arg-type]


def test_a_renewed_certificate_is_served_and_so_is_the_old_one_until_it_ends(tmp_path: Path) -> None:
    async def test() -> None:
        async with open_shop(tmp_path) as (shop, till), client_of(till) as old:
            before = load_certificate(till.directory)
            line = Line(till.directory, shop.url, TIMEOUTS)
            renewal = Renewal(Lane(), BackendClient(line.http, transfer_timeout_s=60), line, random.Random(1))
            await renewal._renew()
            after = load_certificate(till.directory)
            assert after.subject == before.subject
            assert public_der(after.public_key()) != public_der(before.public_key())
            async with client_of(till) as renewed:
                for client in (old, renewed):
                    assert await client.heartbeat(LENDER, bytes(16), {}, 30)
            await line.http.aclose()

    live(test())


def test_a_revoked_lane_learns_it_by_itself_stops_approving_alone_and_still_sends_its_sales(tmp_path: Path) -> None:
    async def test() -> None:
        async with open_shop(tmp_path, poll_s=0.2) as (shop, till):
            assert (await till.sell(100, "sale-0001")).is_approved
            with transaction(shop.backend.database):
                access.revoke("lane-1", compromised=True)
            await happens(lambda: till.lane.standing.refusal == "lane_revoked")
            hold = await till.sell(100, "sale-0002")
            assert (hold.is_approved, hold.reason) == (False, "lane_revoked")
            await happens(lambda: till.lane.forwarding.depth == 0)

    live(test())


async def _sold_alone(till: Till, sale_id: str) -> str:
    """A stand-in approval; returns what its slip claims."""
    hold = await till.sell(700, sale_id)
    assert (hold.mode, hold.is_approved) == ("stand_in", True)
    (job,) = till.ledger.print_jobs(sale_id)
    document = Claims(till.ledger, load_journal_key(till.directory)).printed(job.slip)
    (code,) = (block.data for block in document.blocks if isinstance(block, Qr))
    return code


@asynccontextmanager
async def cut_off(directory: Path) -> AsyncIterator[tuple[Shop, Till]]:
    """A lane that was ready and has lost its uplink, beside a backend that is up."""
    shop = Shop(directory, poll_s=0.2)
    shop.open()
    await shop.listens()
    enrolled = await enrollment.enroll(shop.url, shop.code("lane-1"), directory / "lane")
    shop.backend.refresh_snapshots()
    till = Till(shop, directory / "lane", enrolled)
    uplink = asyncio.create_task(till.uplink())
    await happens(lambda: till.backend.available and till.sequence and till.lane.lenders.first.policy)
    uplink.cancel()
    await asyncio.gather(uplink, return_exceptions=True)
    await happens(lambda: not till.backend.available)
    try:
        yield shop, till
    finally:
        till.ledger.close()
        await shop.stop()


def test_a_slip_claims_a_sale_once_and_the_journal_that_surfaces_later_moves_no_money_twice(tmp_path: Path) -> None:
    async def test() -> None:
        async with cut_off(tmp_path) as (_, till):
            text = await _sold_alone(till, "sale-0001")
            async with client_of(till) as client:
                first = await client.claim(text, 5)
                again = await client.claim(text, 5)
            assert (first["result"], again["result"]) == ("accepted", "duplicate")
            assert (first["sale_id"], first["lane"], first["epoch"]) == ("sale-0001", "lane-1", 1)
            uplink = asyncio.create_task(till.uplink())
            await happens(lambda: till.lane.forwarding.depth == 0)
            uplink.cancel()
            await asyncio.gather(uplink, return_exceptions=True)
            assert "claimed_before" in {found.reason for found in till.ledger.queue_exceptions()}

    live(test())


def test_the_claim_goes_through_the_running_uplink_and_a_sent_sale_is_known(tmp_path: Path) -> None:
    async def test() -> None:
        async with cut_off(tmp_path) as (_, till):
            text = await _sold_alone(till, "sale-0001")
            uplink = asyncio.create_task(till.uplink())
            await happens(lambda: till.backend.available and till.lane.forwarding.depth == 0)
            assert (await till.backend.claim(text))["result"] == "known"
            uplink.cancel()
            await asyncio.gather(uplink, return_exceptions=True)

    live(test())
