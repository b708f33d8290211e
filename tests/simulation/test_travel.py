"""Both halves together: who was just seen far away is declined, by the lender and by a lane without a line."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent.core.cose import SigningKey
from agent.core.money import Money
from agent.core.travel import Place
from agent.services.checkout import Order
from agent.simulation.backend_process import CURRENCY, BackendProcess, Customer
from agent.simulation.lane_process import LaneProcess, Site
from agent.simulation.loop import run_virtually
from agent.simulation.network import CALM, Line, Network
from agent.simulation.town import START_S
from backend import places
from backend.database import transaction
from backend.identity import LaneName
from backend.schema import Account
from backend.snapshots import Plan

MERCHANT = "merchant-1"
GROCERY, BAR = "5411", "5813"
STORES = {
    "home": Place(31_230_400, 121_473_700),
    "near": Place(31_230_400, 121_515_700),  # 4 km to the east
    "far": Place(31_500_200, 121_473_700),  # 30 km to the north
}


class Silent:
    """Nobody watches this town."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


@dataclass
class Town:
    """One lane in each store, a backend that knows where the stores are, and one customer."""

    directory: Path
    chance: Random = field(default_factory=lambda: Random(1))

    def __post_init__(self) -> None:
        self.network = Network(self.chance, lambda _: None)
        self.backend = BackendProcess(self.chance, self.network, Plan(25_000, lease_life_s=24 * 3600), self.now_s)
        keys = {
            LaneName(f"lane-{store}", MERCHANT, store): SigningKey.from_seed("ed25519", bytes(32)) for store in STORES
        }
        lenders = self.backend.found([60_000], dict(keys))
        site = Site(self.chance, self.network, lenders, self.directory, Silent(), START_S)
        self.lanes = {name.store: LaneProcess(name, key, site, printer_trouble=0) for name, key in keys.items()}
        for name in keys:
            self.network.lines[name.lane] = Line(CALM)
        with transaction(self.database):
            for store, place in STORES.items():
                places.set_place(MERCHANT, store, place)

    @property
    def database(self) -> Any:
        assert self.backend.backend is not None
        return self.backend.backend.database

    @property
    def customer(self) -> Customer:
        return self.backend.customers[0]

    def now_s(self) -> int:
        return int(START_S + asyncio.get_running_loop().time())

    async def open(self) -> None:
        for lane in self.lanes.values():
            lane.boot()
        await asyncio.sleep(60)
        await self.tell_lanes()

    async def tell_lanes(self) -> None:
        """New layers for all, and the time that lanes take to fetch them."""
        self.backend.refresh_snapshots()
        await asyncio.sleep(300)

    def cut_line(self, store: str) -> None:
        self.network.lines[f"lane-{store}"].up_cut = True

    async def buy(self, store: str, category: str = GROCERY) -> tuple[str, str, str]:
        """The mode, response code and reason of a sale of 12.34."""
        code = self.customer.phone.show_pass(now_s=self.now_s(), cti=self.chance.randbytes(8), user_verified=True)
        order = Order(f"s-{self.chance.randbytes(4).hex()}", Money(1_234, CURRENCY), category)
        hold = await self.lanes[store].ask(lambda lane: lane.checkout.sell(order, code))
        assert hold is not None
        return hold.mode, hold.response_code, hold.reason

    async def close(self) -> None:
        for lane in self.lanes.values():
            await lane.stop()
        self.backend.stop()
        await asyncio.sleep(1)


@pytest.fixture
def live(tmp_path: Path) -> Callable[[Callable[[Town], Awaitable[None]]], None]:
    def live(story: Callable[[Town], Awaitable[None]]) -> None:
        async def told() -> None:
            town = Town(tmp_path)
            await town.open()
            await story(town)
            await town.close()

        run_virtually(1, told)

    return live


Live = Callable[[Callable[[Town], Awaitable[None]]], None]


def test_minutes_after_a_purchase_a_store_near_by_sells_and_one_far_away_sells_later(live: Live) -> None:
    async def story(town: Town) -> None:
        assert await town.buy("home") == ("online", "00", "approved")
        await town.tell_lanes()
        assert await town.buy("far") == ("online", "59", "travel")
        for store in ("near", "far"):
            town.cut_line(store)
        assert await town.buy("far") == ("stand_in", "59", "travel")
        assert await town.buy("near") == ("stand_in", "00", "approved_offline")
        await asyncio.sleep(25 * 60)
        assert await town.buy("far") == ("stand_in", "00", "approved_offline")

    live(story)


def test_purpose_bound_credit_does_not_pay_at_a_bar_with_or_without_a_line(live: Live) -> None:
    async def story(town: Town) -> None:
        with transaction(town.database):
            Account.update(purpose_bound=True, edition=Account.edition + 1).execute()
        await town.tell_lanes()
        assert await town.buy("home", BAR) == ("online", "57", "purpose_excluded")
        town.cut_line("home")
        assert await town.buy("home", BAR) == ("stand_in", "57", "purpose_excluded")
        assert await town.buy("home") == ("stand_in", "00", "approved_offline")

    live(story)
