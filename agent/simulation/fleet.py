"""A fleet of lanes, a backend and customers in virtual time, with everything going wrong that can.

The one rule: one seed is one story. All dice are rolled by generators made from the seed, all time is virtual, so a
failing run is replayed by its seed alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from agent.core.authorization import Hold, HoldState
from agent.core.cose import SigningKey
from agent.core.money import Money
from agent.errors import CounterfoilError
from agent.lane import Lane
from agent.services.checkout import Order
from agent.services.hold_desk import HoldDesk, Refused
from agent.services.offers import Wish
from agent.services.settlement import BatchReport
from agent.simulation.auditor import Auditor, Findings
from agent.simulation.backend_process import CATEGORY, CURRENCY, LENDER, BackendProcess, Customer
from agent.simulation.disk import Survivors
from agent.simulation.lane_process import POLL_S, LaneProcess, Site
from agent.simulation.loop import run_virtually
from agent.simulation.network import CALM, Line, Network
from backend.identity import LaneName
from backend.snapshots import Plan

START_S: Final = 1_800_000_000
FIRST_BEATS_S: Final = 30.0
"""Lanes say what they have before anything is cut for them."""
WARM_UP_S: Final = 400.0
HEAL_S: Final = 2400.0
DAY_S: Final = 86_400
WALL_JUMPS_S: Final = (400 * DAY_S, -400 * DAY_S, -START_S, 3600, -3600, 45, -45, 2 * DAY_S)
"""Four hundred days either way, 1970, and the small ones that are easier to believe."""
PLAN: Final = "6x"
PLAN_MIN_MINOR: Final = 10_000
"""A plan of the default policy whose fee customer and merchant share, and the least amount that it is for."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean times between events in seconds of virtual time, and the money at stake in minor units."""

    lanes: int = 2
    lenders: int = 1
    hours: float = 10.0
    accounts: int = 4
    limit_minor: int = 60_000
    allowance_minor: int = 25_000
    sale_max_minor: int = 20_000
    sale_every_s: float = 400.0
    elsewhere_every_s: float = 450.0
    repay_every_s: float = 1200.0
    snapshot_every_s: float = 2700.0
    policy_every_s: float = 4 * 3600.0
    settle_every_s: float = 3 * 3600.0
    crash_every_s: float = 2400.0
    partition_every_s: float = 1500.0
    clock_jump_every_s: float = 2 * 3600.0
    ledger_put_back_every_s: float = math.inf
    backend_put_back_every_s: float = math.inf
    limit_change_every_s: float = math.inf
    lease_life_s: int = 3600
    printer_trouble: float = 0.05
    look_share: float = 0.3


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one seed."""

    seed: int
    lane_hours: float
    sales: int
    approved: int
    findings: Findings


def simulate(seed: int, scale: Scale) -> Run:
    """One story from its seed. Violations are findings, never exceptions."""
    with tempfile.TemporaryDirectory(prefix="counterfoil-") as directory, _quiet():
        return run_virtually(seed, lambda: _story(seed, scale, Path(directory)))


async def _story(seed: int, scale: Scale, directory: Path) -> Run:
    return await Fleet(seed, scale, directory).live()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The product logs every fault; here faults are the weather."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


class Fleet:
    def __init__(self, seed: int, scale: Scale, directory: Path) -> None:
        self._scale = scale
        self._random = Random(f"fleet {seed}")
        self._seed = seed
        self._auditor = Auditor(self._time_s, Random(f"auditor {seed}"), scale.look_share)
        self._network = Network(Random(f"network {seed}"), self._auditor.backend_changed)
        plan = Plan(scale.allowance_minor, lease_life_s=scale.lease_life_s)
        self._backend = BackendProcess(Random(f"backend {seed}"), self._network, plan, self._now_s)
        self._auditor.attend(self._backend)
        names = [LaneName(f"lane-{number}", "merchant-1", "store-1") for number in range(1, scale.lanes + 1)]
        keys = {name: SigningKey.from_seed("ed25519", self._random.randbytes(32)) for name in names}
        names_of_lenders = [LENDER, *(f"{LENDER}-{number}" for number in range(2, scale.lenders + 1))]
        limits = [scale.limit_minor] * scale.accounts
        lenders = self._backend.found(limits, dict(keys), names=names_of_lenders)
        site = Site(Random(f"lanes {seed}"), self._network, lenders, directory, self._auditor, START_S)
        self._lanes = [LaneProcess(name, keys[name], site, printer_trouble=scale.printer_trouble) for name in names]
        self._sales = self._approved = 0

    async def live(self) -> Run:
        """Warm up, let everything go wrong, heal, and demand that both halves match."""
        for lane in self._lanes:
            lane.boot()
        await asyncio.sleep(FIRST_BEATS_S)
        self._refresh_snapshots()
        await asyncio.sleep(WARM_UP_S)
        actors = [asyncio.create_task(actor) for actor in self._actors()]
        await asyncio.sleep(self._scale.hours * 3600)
        for actor in actors:
            actor.cancel()
        await asyncio.gather(*actors, return_exceptions=True)
        await self._heal()
        await self._settle_all()
        await asyncio.sleep(HEAL_S)
        self._auditor.check_converged(self._lanes)
        self._auditor.check_disputes()
        for lane in self._lanes:
            await lane.stop()
        self._backend.stop()
        await asyncio.sleep(1)  # whatever was told to end does so
        lane_hours = self._scale.hours * len(self._lanes)
        return Run(self._seed, lane_hours, self._sales, self._approved, self._auditor.findings)

    def _actors(self) -> list[Coroutine[Any, Any, None]]:
        scale = self._scale
        repeated: tuple[tuple[float, Callable[[], Awaitable[None]]], ...] = (
            (scale.elsewhere_every_s, self._buy_elsewhere),
            (scale.repay_every_s, self._repay),
            (scale.snapshot_every_s, self._publish_snapshots),
            (scale.policy_every_s, self._publish_policy),
            (scale.settle_every_s, self._settle_all),
            (scale.crash_every_s, self._crash_something),
            (scale.partition_every_s, self._cut_a_line),
            (scale.clock_jump_every_s, self._jump_a_clock),
            (scale.ledger_put_back_every_s, self._put_back_a_ledger),
            (scale.backend_put_back_every_s, self._put_back_the_backend),
            (scale.limit_change_every_s, self._change_a_limit),
        )
        world = [self._again_and_again(mean_s, act) for mean_s, act in repeated if mean_s < math.inf]
        return [*world, *(self._cashier(lane) for lane in self._lanes)]

    async def _again_and_again(self, mean_s: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(1 / mean_s))
            await act()

    # -- at the counter ------------------------------------------------------------------------------------------

    async def _cashier(self, lane: LaneProcess) -> None:
        """Customers come in bursts; now and then the lane dies in the middle of a sale."""
        while True:
            await asyncio.sleep(self._random.expovariate(1 / (2 * self._scale.sale_every_s)))
            for _ in range(self._random.choice((1, 1, 2, 4))):
                if self._random.random() < 0.05:
                    dies = asyncio.create_task(self._crash_soon(lane))
                    await self._serve(lane)
                    await dies
                else:
                    await self._serve(lane)

    async def _serve(self, lane: LaneProcess) -> None:
        customer = self._random.choice(self._backend.customers)
        capture = self._random.choice(("at_once", "at_once", "later"))
        amount = Money(self._random.randrange(100, self._scale.sale_max_minor), CURRENCY)
        wish = Wish(PLAN) if (capture, amount.minor >= PLAN_MIN_MINOR) == ("at_once", True) else None
        order = Order(f"s-{self._random.randbytes(5).hex()}", amount, CATEGORY, capture, wish)
        self._sales += 1
        state = await self._pay(lane, order, customer)
        if state is HoldState.DECLINED and self._random.random() < 0.3:
            state = await self._pay(lane, order, customer)
        self._approved += state in (HoldState.AUTHORIZED, HoldState.CAPTURED)
        if state is HoldState.AUTHORIZED:
            await self._finish(lane, order)
        if state in (HoldState.AUTHORIZED, HoldState.CAPTURED) and self._random.random() < 0.4:
            await self._bring_back(lane, order)

    async def _pay(self, lane: LaneProcess, order: Order, customer: Customer) -> HoldState | None:
        """Ask until there is an answer, as a POS does after a time-out; sometimes ask again for nothing."""
        now_s = self._now_s() + self._random.randrange(-5, 5)
        code = customer.phone.show_pass(now_s=now_s, cti=self._random.randbytes(8), user_verified=True)
        state = None
        for again in range(self._random.choice((1, 1, 1, 2)) + 6):
            state = await self._sell(lane, order, code) or state
            if state is not None and again >= self._random.choice((0, 0, 1)):
                break
            await asyncio.sleep(self._random.uniform(0.1, 20) if state is None else 0.5)
        return state

    def _send_now(self, lane: LaneProcess) -> None:
        """Somebody presses "send now" while the sale is still being asked for: its intent travels alone."""
        if lane.lane is not None:
            lane.lane.backend.poke()

    async def _sell(self, lane: LaneProcess, order: Order, code: str) -> HoldState | None:
        if self._random.random() < 0.3:
            asyncio.get_running_loop().call_later(self._random.uniform(0, 0.3), self._send_now, lane)
        try:
            hold = await lane.ask(lambda running: running.checkout.sell(order, code))
        except CounterfoilError as error:
            self._auditor.note(f"{lane.name.lane} refuses {order.sale_id}: {error.code}")
            return None
        if hold is None:
            return None
        self._auditor.answered(lane, hold)
        return hold.state

    async def _finish(self, lane: LaneProcess, order: Order) -> None:
        """Captured in full, in less or in parts, reversed, or forgotten until it ends by itself."""
        await asyncio.sleep(self._random.uniform(1, 60))
        part_minor = max(1, order.amount.minor // self._random.randrange(2, 9))
        match self._random.choice(("reverse", "reverse", "full", "full", "less", "parts", "forgotten")):
            case "reverse":
                await self._ask_desk(lane, lambda desk: desk.reverse(order.sale_id, "customer_left"))
            case "full":
                await self._ask_desk(lane, lambda desk: desk.capture(order.sale_id))
            case "less":
                await self._ask_desk(lane, lambda desk: desk.capture(order.sale_id, part_minor))
            case "parts":
                for request in ("first", "first", "second"):  # a POS that did not hear the answer asks again
                    is_last = request == "second" and self._random.random() < 0.5
                    capture = partial(HoldDesk.capture, final=is_last, request=request)
                    await self._ask_desk(lane, lambda desk, ask=capture: ask(desk, order.sale_id, part_minor))  # type: ignore[misc]

    async def _bring_back(self, lane: LaneProcess, order: Order) -> None:
        """The customer comes back with the goods, or some of them, in the next hours."""
        await asyncio.sleep(self._random.uniform(1, 600))
        part_minor = max(1, order.amount.minor // self._random.randrange(1, 4))
        for request in self._random.choice((("a",), ("a", "a"), ("a", "b", "b", "c"), ())):
            refund = partial(HoldDesk.refund, request=request, reason="returned")
            await self._ask_desk(lane, lambda desk, ask=refund: ask(desk, order.sale_id, part_minor))  # type: ignore[misc]
        await self._ask_desk(lane, lambda desk: desk.void(order.sale_id, "wrong_item"))

    async def _ask_desk(self, lane: LaneProcess, what: Callable[[HoldDesk], Awaitable[Hold | Refused]]) -> None:
        with contextlib.suppress(CounterfoilError):
            await lane.ask(lambda running: what(running.holds))

    # -- elsewhere -----------------------------------------------------------------------------------------------

    async def _buy_elsewhere(self) -> None:
        customer = self._random.choice(self._backend.customers)
        sale_id = f"w-{self._random.randbytes(5).hex()}"
        amount_minor = self._random.randrange(100, self._scale.limit_minor // 2)
        if self._backend.buy_elsewhere(customer, amount_minor, sale_id):
            self._auditor.backend_changed(f"{sale_id} bought elsewhere")
            asyncio.get_running_loop().call_later(
                self._random.uniform(60, 3600), self._release_elsewhere, customer.lender, sale_id
            )

    def _release_elsewhere(self, lender: str, sale_id: str) -> None:
        self._backend.release_elsewhere(lender, sale_id)
        self._auditor.backend_changed(f"{sale_id} released")

    async def _repay(self) -> None:
        customer = self._random.choice(self._backend.customers)
        self._auditor.repaid(customer.key, self._backend.repay(customer))
        self._auditor.backend_changed("repaid")

    async def _change_a_limit(self) -> None:
        """Cut for a while, whatever is under way; never above what the account was opened with."""
        customer = self._random.choice(self._backend.customers)
        for limit_minor in (self._random.randrange(customer.limit_minor), customer.limit_minor):
            self._backend.set_limit(customer, limit_minor)
            self._auditor.backend_changed(f"limit {limit_minor}")
            await asyncio.sleep(self._random.uniform(1, 3600))

    def _refresh_snapshots(self) -> None:
        self._backend.refresh_snapshots()
        self._auditor.backend_changed("snapshots built")

    async def _publish_snapshots(self) -> None:
        self._refresh_snapshots()

    async def _publish_policy(self) -> None:
        self._backend.publish_policy()

    async def _settle_all(self) -> None:
        for lane in self._lanes:
            with contextlib.suppress(CounterfoilError):
                for report in await lane.ask(_settled) or ():
                    self._auditor.settled(lane, report)

    # -- what goes wrong -----------------------------------------------------------------------------------------

    async def _crash_soon(self, lane: LaneProcess) -> None:
        await asyncio.sleep(self._random.uniform(0, 3))
        await self._crash(lane)

    async def _crash(self, lane: LaneProcess) -> None:
        await lane.crash(self._random.choice((None, None, *Survivors)))
        await asyncio.sleep(self._random.choice((1, 5, 60, 900)))
        if lane.lane is None:
            lane.boot()

    async def _crash_something(self) -> None:
        lane = self._random.choice(self._lanes)
        match self._random.randrange(4):
            case 0:
                self._backend.crash(self._random.choice(list(Survivors)))
                self._auditor.note("the backend dies")
                await asyncio.sleep(self._random.choice((1, 30, 600)))
                self._backend.boot()
            case 1:
                await lane.crash_uplink()
                await asyncio.sleep(self._random.choice((1, 30, 600)))
                if lane.lane is not None:
                    lane.restart_uplink()
            case _:
                await self._crash(lane)

    async def _cut_a_line(self) -> None:
        line = self._network.lines[self._random.choice(self._lanes).name.lane]
        line.up_cut, line.down_cut = self._random.choice(((True, True), (True, False), (False, True)))
        length_s = self._random.choice((10, 300, 3600, 3 * 3600))
        self._auditor.note(f"a line is cut for {length_s} s")
        asyncio.get_running_loop().call_later(length_s, _mend, line)

    async def _jump_a_clock(self) -> None:
        lane = self._random.choice(self._lanes)
        lane.clock.offset_s = self._random.choice((0, *WALL_JUMPS_S))
        self._auditor.note(f"{lane.name.lane} has its clock wrong by {lane.clock.offset_s} s")

    async def _put_back_a_ledger(self) -> None:
        """A backup is put back while the line is cut; later somebody comes and recovers the lane (lease rule 11)."""
        lane = self._random.choice(self._lanes)
        backup = lane.disk.after_kill()
        await asyncio.sleep(self._random.uniform(600, 3600))
        if not await lane.put_back(backup):
            return
        self._auditor.put_back(lane)
        line = self._network.lines[lane.name.lane]
        line.up_cut = line.down_cut = True
        lane.boot()
        await asyncio.sleep(self._random.uniform(600, 1800))
        _mend(line)
        await asyncio.sleep(2 * POLL_S)
        await self._recover(lane)

    async def _recover(self, lane: LaneProcess) -> None:
        with contextlib.suppress(CounterfoilError):
            await lane.ask(lambda running: running.restoration.begin_again(LENDER))

    async def _put_back_the_backend(self) -> None:
        backup = self._backend.copy()
        await asyncio.sleep(self._random.uniform(300, 1800))
        if self._backend.backend is not None:
            self._auditor.put_back_backend()
            self._backend.put_back(backup)

    async def _heal(self) -> None:
        """End all faults, bring everybody back, and give them time; no new sales."""
        self._auditor.note("healing")
        if self._backend.backend is None:
            self._backend.boot()
        for lane in self._lanes:
            line = self._network.lines[lane.name.lane]
            line.up_cut = line.down_cut = False
            line.weather = CALM
            lane.clock.offset_s = 0
            lane.printer.trouble = 0
            if lane.lane is None:
                lane.boot()
            lane.restart_uplink()
        await asyncio.sleep(HEAL_S)
        for lane in self._lanes:
            await self._recover(lane)
        await asyncio.sleep(HEAL_S)
        self._refresh_snapshots()  # a backend that was put back has heard them all now

    def _time_s(self) -> float:
        return asyncio.get_running_loop().time()

    def _now_s(self) -> int:
        return START_S + int(self._time_s())


def _mend(line: Line) -> None:
    line.up_cut = line.down_cut = False


async def _settled(lane: Lane) -> list[BatchReport]:
    """Close every lender's day, and match what an earlier close could not."""
    closed = [await lane.settlement.close_day(lender.lender) for lender in lane.lenders.all()]
    return [*filter(None, closed), *await lane.settlement.match_pending()]
