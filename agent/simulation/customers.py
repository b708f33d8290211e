"""What customers do: they buy, at the lanes and elsewhere, come back with the goods, and repay.

The one rule: they know nothing of the lanes' insides; they ask as a POS asks, and ask again when they hear nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final

from agent.core.authorization import Hold, HoldState
from agent.core.money import Money
from agent.errors import CounterfoilError
from agent.services.checkout import Order
from agent.services.hold_desk import HoldDesk, Refused
from agent.services.offers import Wish
from agent.simulation.backend_process import CATEGORY, CURRENCY, Customer
from agent.simulation.lane_process import LaneProcess
from agent.simulation.mishaps import Mishaps
from agent.simulation.town import Happening, Town

PLAN: Final = "6x"
PLAN_MIN_MINOR: Final = 10_000
"""A plan of the default policy whose fee customer and merchant share, and the least amount that it is for."""


class Customers:
    """``sales`` and ``approved`` count what they asked for, and what they got."""

    def __init__(self, town: Town, mishaps: Mishaps) -> None:
        self._town, self._mishaps = town, mishaps
        self._random, self._scale = town.random, town.scale
        self._coupons: dict[Customer, str] = {}
        self.sales = self.approved = 0

    def happenings(self) -> Sequence[Happening]:
        return ((self._scale.elsewhere_every_s, self._buy_elsewhere), (self._scale.repay_every_s, self._repay))

    def at_the_counters(self) -> Sequence[Coroutine[Any, Any, None]]:
        return [self._cashier(lane) for lane in self._town.lanes]

    # -- at the counter ------------------------------------------------------------------------------------------

    async def _cashier(self, lane: LaneProcess) -> None:
        """Customers come in bursts; now and then the lane dies in the middle of a sale."""
        while True:
            await asyncio.sleep(self._random.expovariate(1 / (2 * self._scale.sale_every_s)))
            for _ in range(self._random.choice((1, 1, 2, 4))):
                if self._random.random() < 0.05:
                    dies = asyncio.create_task(self._mishaps.crash_soon(lane))
                    await self._serve(lane)
                    await dies
                else:
                    await self._serve(lane)

    async def _serve(self, lane: LaneProcess) -> None:
        customer = self._random.choice(self._town.backend.customers)
        capture = self._random.choice(("at_once", "at_once", "later"))
        amount = Money(self._random.randrange(100, self._scale.sale_max_minor), CURRENCY)
        is_in_instalments = (capture, amount.minor >= PLAN_MIN_MINOR) == ("at_once", True)
        wish = Wish(PLAN, self._coupon_of(customer)) if is_in_instalments else None
        order = Order(f"s-{self._random.randbytes(5).hex()}", amount, CATEGORY, capture, wish)
        self.sales += 1
        state = await self._pay(lane, order, customer)
        if state is HoldState.DECLINED and self._random.random() < 0.3:
            state = await self._pay(lane, order, customer)
        self.approved += state in (HoldState.AUTHORIZED, HoldState.CAPTURED)
        if state is HoldState.AUTHORIZED:
            await self._finish(lane, order)
        if state in (HoldState.AUTHORIZED, HoldState.CAPTURED) and self._random.random() < 0.4:
            await self._bring_back(lane, order)

    def _coupon_of(self, customer: Customer) -> str | None:
        """A coupon that the customer shows, often one that they have shown before."""
        if self._random.random() >= self._scale.coupon_share:
            return None
        if customer not in self._coupons or self._random.random() < 0.3:
            coupon = self._town.backend.issue_coupon(customer, PLAN)
            if coupon is None:
                return None
            self._coupons[customer] = coupon
        return self._coupons[customer]

    async def _pay(self, lane: LaneProcess, order: Order, customer: Customer) -> HoldState | None:
        """Ask until there is an answer, as a POS does after a time-out; sometimes ask again for nothing."""
        now_s = self._town.now_s() + self._random.randrange(-5, 5)
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
            self._town.auditor.note(f"{lane.name.lane} refuses {order.sale_id}: {error.code}")
            return None
        if hold is None:
            return None
        self._town.auditor.answered(lane, hold)
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
        """The customer comes back with the goods, or some of them, in the next hours, now and then to two lanes."""
        await asyncio.sleep(self._random.uniform(1, 600))
        part_minor = max(1, order.amount.minor // self._random.randrange(1, 4))
        if self._random.random() < self._scale.slip_refund_share:
            await self._bring_back_elsewhere(lane, order, part_minor)
        for request in self._random.choice((("a",), ("a", "a"), ("a", "b", "b", "c"), ())):
            refund = partial(HoldDesk.refund, request=request, reason="returned")
            await self._ask_desk(lane, lambda desk, ask=refund: ask(desk, order.sale_id, part_minor))  # type: ignore[misc]
        await self._ask_desk(lane, lambda desk: desk.void(order.sale_id, "wrong_item"))

    async def _bring_back_elsewhere(self, sold_at: LaneProcess, order: Order, minor: int) -> None:
        """With the slip, to another lane; whoever hears nothing asks again by the same request."""
        hold = self._town.auditor.hold_of(sold_at, order.sale_id)
        others = [lane for lane in self._town.lanes if lane is not sold_at]
        if hold is None or not others:
            return
        other, amount = self._random.choice(others), Money(minor, CURRENCY)
        for request in self._random.choice((("a",), ("a", "a"), ("a", "b", "b"))):
            name = f"{order.sale_id}-{request}"
            with contextlib.suppress(CounterfoilError):
                await other.ask(
                    lambda running, name=name: running.slip_refunds.refund(  # type: ignore[misc]
                        hold.lender, sold_at.name.lane, order.sale_id, amount, name
                    )
                )

    async def _ask_desk(self, lane: LaneProcess, what: Callable[[HoldDesk], Awaitable[Hold | Refused]]) -> None:
        with contextlib.suppress(CounterfoilError):
            await lane.ask(lambda running: what(running.holds))

    # -- elsewhere -----------------------------------------------------------------------------------------------

    async def _buy_elsewhere(self) -> None:
        backend, auditor = self._town.backend, self._town.auditor
        customer = self._random.choice(backend.customers)
        sale_id = f"w-{self._random.randbytes(5).hex()}"
        amount_minor = self._random.randrange(100, self._scale.limit_minor // 2)
        if backend.buy_elsewhere(customer, amount_minor, sale_id):
            auditor.backend_changed(f"{sale_id} bought elsewhere")
            asyncio.get_running_loop().call_later(
                self._random.uniform(60, 3600), self._release_elsewhere, customer.lender, sale_id
            )

    def _release_elsewhere(self, lender: str, sale_id: str) -> None:
        self._town.backend.release_elsewhere(lender, sale_id)
        self._town.auditor.backend_changed(f"{sale_id} released")

    async def _repay(self) -> None:
        customer = self._random.choice(self._town.backend.customers)
        self._town.auditor.repaid(customer.key, self._town.backend.repay(customer))
        self._town.auditor.backend_changed("repaid")
