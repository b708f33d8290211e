"""Push end to end: real lane, real uplink, real TLS, real backend, and a lane that polls once an hour."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from agent.uplink import events
from backend import accounts, lanes, recalls, server
from backend.access import revoke
from backend.allowances import outstanding_by_lane
from backend.api import create_app
from backend.database import transaction
from backend.schema import Recall
from tests.uplink.shop import LEASE_MINOR, LENDER, Shop, Till, happens, open_shop

Story = Callable[[Shop, Till], Coroutine[Any, Any, None]]
PUSHED_S = 60.0
"""Whatever a busy machine needs; a lane that only polled would need an hour."""


def told(directory: Path, story: Story, **options: Any) -> None:
    async def shop() -> None:
        async with asyncio.timeout(300), open_shop(directory, **options) as (shop, till):
            await story(shop, till)

    asyncio.run(shop())


def change(shop: Shop, phone: int = 0) -> None:
    """Something that the lane must hear of: the account is in the next layer."""
    with transaction(shop.backend.database):
        account = accounts.find(LENDER, shop.phones[phone].account)
        assert account is not None
        accounts.touch(account)
    assert shop.backend.refresh_snapshots() == 1


def recall(shop: Shop, phone: int | None = 0, **asked: Any) -> None:
    token = None if phone is None else shop.phones[phone].account
    with transaction(shop.backend.database):
        rows = recalls.request(LENDER, lane="lane-1", account=token, reason="test", now_s=shop.backend.clock(), **asked)
        assert rows


def outstanding_minor(shop: Shop, phone: int = 0) -> int:
    return sum(outstanding_by_lane(LENDER, shop.phones[phone].account).values())


def open_recalls(shop: Shop) -> int:
    recalls.tend(shop.backend.database, LENDER, now_s=shop.backend.clock())
    return Recall.select().where(Recall.ended_at.is_null()).count()


def test_a_new_snapshot_is_installed_within_seconds_by_a_lane_that_polls_once_an_hour(tmp_path: Path) -> None:
    async def story(shop: Shop, till: Till) -> None:
        for sequence in (2, 3):
            change(shop)
            assert await happens(lambda at=sequence: till.sequence == at) < PUSHED_S

    told(tmp_path, story)


def test_a_restart_of_the_backend_misses_nothing(tmp_path: Path) -> None:
    async def story(shop: Shop, till: Till) -> None:
        change(shop)
        await happens(lambda: till.sequence == 2)
        await shop.restart()
        shop.backend.heard.update(lanes.in_service())  # this lane would say what it has at its next beat, in an hour
        change(shop)
        assert await happens(lambda: till.sequence == 3) < PUSHED_S

    told(tmp_path, story)


class Holding:
    """A reverse proxy that passes an answer on when it has seen its end."""

    def __init__(self, app: Any) -> None:
        self._app, self.state = app, app.state

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        held: list[Any] = []

        async def hold(message: Any) -> None:
            held.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                for known in held:
                    await send(known)

        await self._app(scope, receive, hold)


def test_through_a_proxy_that_holds_streams_back_news_come_by_long_polls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "create_app", lambda backend: Holding(create_app(backend)))
    monkeypatch.setattr(events, "FIRST_S", 0.3)
    monkeypatch.setattr(events, "WAIT_S", 2)

    async def story(shop: Shop, till: Till) -> None:
        await asyncio.sleep(0.5)
        change(shop)
        assert await happens(lambda: till.sequence == 2) < PUSHED_S

    told(tmp_path, story)


def test_a_recalled_lease_is_free_again_only_when_the_lane_s_entry_was_posted(tmp_path: Path) -> None:
    async def story(shop: Shop, till: Till) -> None:
        assert till.left_minor() == LEASE_MINOR == outstanding_minor(shop)
        recall(shop)
        await happens(lambda: till.left_minor() == 0, PUSHED_S)
        await happens(lambda: outstanding_minor(shop) == 0, PUSHED_S)
        number = till.ledger.head.number
        assert [sealed.entry.kind for sealed in till.ledger.entries_after(1, number - 1, 1)] == ["lease_return"]
        assert open_recalls(shop) == 0
        assert till.left_minor(1) == LEASE_MINOR, "nobody asked for the other account's"

    told(tmp_path, story)


def test_all_leases_of_a_lane_are_recalled_by_a_base_that_grants_nothing(tmp_path: Path) -> None:
    async def story(shop: Shop, till: Till) -> None:
        recall(shop, phone=None)
        assert shop.backend.refresh_snapshots() == 1
        await happens(lambda: outstanding_minor(shop) == 0 == outstanding_minor(shop, 1), PUSHED_S)
        assert (till.left_minor(), till.left_minor(1)) == (0, 0)

    told(tmp_path, story)


def test_a_lease_recalled_in_the_middle_of_an_online_sale_pays_for_the_sale_and_the_rest_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The debit of the intent is not free to go (lease rule 5)."""

    async def story(shop: Shop, till: Till) -> None:
        arrived, go_on = asyncio.Event(), asyncio.Event()
        real = till.backend.authorize

        async def slow(*words: Any) -> Any:
            arrived.set()
            await go_on.wait()
            return await real(*words)

        monkeypatch.setattr(till.backend, "authorize", slow)
        selling = asyncio.create_task(till.sell(4_000, "sale-0001"))
        await arrived.wait()
        recall(shop)
        await happens(lambda: till.ledger.head.number and till.left_minor() == 0, PUSHED_S)
        assert outstanding_minor(shop) >= 4_000, "the sale's part is not free"
        go_on.set()
        hold = await selling
        assert hold.is_approved
        await happens(lambda: outstanding_minor(shop) == 0, PUSHED_S)
        assert open_recalls(shop) == 0

    told(tmp_path, story)


def test_a_lane_that_is_revoked_hears_so_and_approves_alone_no_more(tmp_path: Path) -> None:
    async def story(shop: Shop, till: Till) -> None:
        with transaction(shop.backend.database):
            revoke("lane-1", compromised=True)
        await happens(lambda: till.lane.standing.refusal == "lane_revoked", PUSHED_S)

    told(tmp_path, story)


def test_a_server_that_stops_does_not_wait_for_those_who_listen(tmp_path: Path) -> None:
    async def story(shop: Shop, _till: Till) -> None:
        await asyncio.sleep(0.1)
        await asyncio.wait_for(shop.restart(), 20)  # they listen for 25 s

    told(tmp_path, story)
