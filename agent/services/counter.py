"""The counter: the sale that waits for a code, the scans that arrive, and what everybody is told.

The one rule: a scan goes to the waiting sale if it is meant to pay, and to the POS as an event if it is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from agent.core.authorization import Hold, HoldState
from agent.core.classify import Code, classify
from agent.core.coupons import PREFIX as COUPON
from agent.core.slip_claim import read_slip
from agent.errors import CounterfoilError, IdempotencyConflict, OfferRefused
from agent.ports import Ledger
from agent.services import entries, next_deeds
from agent.services.checkout import Checkout, Order
from agent.services.events import Events
from agent.services.offers import Basket, Menu, Wish
from agent.services.reading import Sight
from agent.services.views import Views
from agent.texts import Language
from drivers.device import Article

LOG: Final = logging.getLogger(__name__)
PAYING_KINDS: Final = ("credit_pass", "wallet_alipay", "wallet_wechat", "wallet_unionpay")


@dataclass(slots=True)
class _Waiting:
    """A sale that has no outcome yet. ``seen`` is the pass of a customer who chooses from ``menu``; ``refused``: why
    the last choice could not be taken; ``looked_at``: the plan whose whole statement is shown."""

    order: Order
    fault: CounterfoilError | None = None
    coupon: str | None = None
    seen: Sight | None = None
    menu: Menu | None = None
    refused: str | None = None
    looked_at: str | None = None


def _for_pos(code: Code, device: str, symbology: str | None, article: Article | None) -> dict[str, Any]:
    """A scan as an event. A credential is never handed on: whoever listens learns only that one was shown."""
    if code.kind in PAYING_KINDS:
        return {"kind": code.kind, "device": device, "value": None}
    kind = "item" if article and code.kind == "other" else code.kind  # such as a GS1 code with batch and date
    said = article.to_dict() if article else None
    event = {"kind": kind, "device": device, "value": code.value, "symbology": symbology, "article": said}
    slip = read_slip(code.value) if kind == "slip" else None
    return event | (slip._asdict() if slip else {})


class Counter:
    """Opens sales, takes scans, shows where a sale stands."""

    def __init__(self, checkout: Checkout, ledger: Ledger, events: Events, language: Language) -> None:
        self._checkout, self._ledger, self._events = checkout, ledger, events
        self.views = Views(ledger, language)
        self._waiting: _Waiting | None = None
        self._shown: str | None = None  # the sale that page and display show
        self._is_new = True  # nothing was shown since the start
        self._asked: dict[str, Order] = {}  # by sale id, from the code to the durable outcome
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        checkout.wallets.tell = self._tell_of_wait

    async def open_sale(self, order: Order, code: str | None = None) -> dict[str, Any]:
        """A sale that waits for the next code, or is decided at once with ``code``. The sale of before is dropped:
        it has no outcome yet, or it is over. Raises IdempotencyConflict and ledger faults."""
        if code is not None:
            if not self._is_open(order) and order.asks_offers and not self._went_through(order):
                self._waiting = _Waiting(order)
            try:
                await self._take(order, code.strip())
            finally:
                await self._tell_waiters()
        elif not self._is_open(order) and not self._went_through(order):
            self._waiting = _Waiting(order)
            self._show(order.sale_id)
            self._events.publish("sale", self.view(order.sale_id))
        return self.view(order.sale_id)

    def _is_open(self, order: Order) -> bool:
        """Whether this sale waits for its code or is asked for now. Raises IdempotencyConflict for another content."""
        waiting = self._waiting_for(order.sale_id)
        known = waiting.order if waiting else self._asked.get(order.sale_id)
        if known is not None and known != order:
            raise IdempotencyConflict(f"sale {order.sale_id} is open with other content")
        return known is not None

    def _went_through(self, order: Order) -> bool:
        attempts = self._checkout.attempts(order)
        return bool(attempts) and attempts[-1].state is not HoldState.DECLINED

    def scanned(self, raw: bytes, device: str, symbology: str | None = None, article: Article | None = None) -> None:
        """A code from any scanner. Never blocks; a code that cannot pay is the POS's, with what it says of an article.

        ``symbology`` is the AIM id where the scanner told it.
        """
        code = classify(raw)
        waiting = self._waiting
        if waiting is not None and code.value.startswith(COUPON) and waiting.order.sale_id not in self._asked:
            self._spawn(self._add_coupon(waiting, code.value))
            return
        if waiting is None or waiting.order.sale_id in self._asked or code.kind not in PAYING_KINDS:
            self._events.publish("scan", _for_pos(code, device, symbology, article))
            return
        self._asked[waiting.order.sale_id] = waiting.order
        self._spawn(self._sell(waiting, code.value))

    async def _sell(self, waiting: _Waiting, code: str) -> None:
        try:
            await self._take(waiting.order, code)
        except OfferRefused as refused:
            self._offer_again(waiting, code, refused.reason)
        except CounterfoilError as fault:
            self._failed(waiting, fault)
        finally:
            await self._tell_waiters()

    def show_code(self, sale_id: str, lender: str) -> bool:
        """Show a code of the lane's own for the waiting sale, as soon as the backend would take its payment; repeated,
        nothing more happens. False: no sale waits for a code. Raises CodeNotShown, and nothing was recorded."""
        waiting = self._waiting_for(sale_id)
        if sale_id in self._asked or waiting is None or waiting.menu is not None:
            return self._checkout.wallets.code_of(sale_id) is not None
        self._checkout.check_code(waiting.order, lender)
        self._asked[sale_id] = waiting.order
        self._spawn(self._sell_by_own_code(waiting, lender))
        return True

    async def _sell_by_own_code(self, waiting: _Waiting, lender: str) -> None:
        try:
            await self._ask(waiting.order, self._checkout.show_code(waiting.order, lender))
        except CounterfoilError as fault:
            self._failed(waiting, fault)
        finally:
            await self._tell_waiters()

    def _failed(self, waiting: _Waiting, fault: CounterfoilError) -> None:
        waiting.fault = fault
        LOG.error("a sale could not be recorded", extra={"sale_id": waiting.order.sale_id, "code": fault.code})
        self._asked.pop(waiting.order.sale_id, None)
        self._tell(waiting.order.sale_id)

    def _tell_of_wait(self, sale_id: str) -> None:
        self._tell(sale_id)
        self._spawn(self._tell_waiters())

    async def _take(self, order: Order, code: str) -> None:
        """A code for a sale: its customer chooses a plan first if the sale asks for offers, else it is decided."""
        waiting = self._waiting_for(order.sale_id)
        seen = self._checkout.look(code) if waiting and order.asks_offers else None
        if waiting is None or seen is None or not seen.is_good:
            hold = await self._ask(order, self._checkout.sell(order, code))
            if waiting is not None and waiting.menu is not None and hold.state is HoldState.DECLINED:
                waiting.refused = hold.reason  # the customer who chooses may still choose
                self._tell(order.sale_id)
            return
        waiting.seen, waiting.refused = seen, None
        self._show_menu(waiting)

    def _show_menu(self, waiting: _Waiting) -> None:
        assert waiting.seen is not None
        self._asked.pop(waiting.order.sale_id, None)
        order, wish = waiting.order, waiting.order.wish
        basket = Basket(order.amount, order.merchant_category, waiting.seen.account, order.sale_id)
        try:
            waiting.coupon = waiting.coupon or (wish.coupon if wish else None)
            waiting.menu = self._checkout.offers.menu(waiting.seen.lender, basket, waiting.coupon)
            waiting.refused = waiting.refused or waiting.menu.coupon_reason
        except OfferRefused as refused:
            waiting.menu, waiting.refused = Menu(waiting.seen.lender, ()), refused.reason
        self._events.publish("sale", self.view(order.sale_id))

    def _offer_again(self, waiting: _Waiting, code: str, reason: str) -> None:
        """The plan that the sale asked for cannot be: its customer chooses another, and the code is still good."""
        waiting.seen, waiting.refused = waiting.seen or self._checkout.look(code), reason
        self._show_menu(waiting)

    async def _add_coupon(self, waiting: _Waiting, text: str) -> None:
        waiting.coupon, waiting.refused = text, None
        if waiting.seen is not None:
            self._show_menu(waiting)
        await self._tell_waiters()

    async def choose(self, sale_id: str, wish: Wish | None) -> dict[str, Any] | None:
        """The customer's choice, None for no instalments; None if no sale waits for one. A repeated choice gets the
        same answer. Raises OfferRefused (the customer may choose again), IdempotencyConflict and ledger faults."""
        waiting = self._waiting_for(sale_id)
        if waiting is None or waiting.seen is None:
            return self._chosen_before(sale_id, wish)
        if wish is not None and wish.coupon is None and waiting.coupon is not None:
            wish = replace(wish, coupon=waiting.coupon)
        order, seen = replace(waiting.order, wish=wish), waiting.seen
        try:
            hold = await self._ask(order, self._checkout.sell(order, seen.code, seen))
            waiting.seen = waiting.menu = None
            if hold.state is HoldState.DECLINED:  # the sale waits for another code
                self._tell(sale_id)
        except OfferRefused as refused:
            self._offer_again(waiting, seen.code, refused.reason)
            raise
        finally:
            await self._tell_waiters()
        return self.view(sale_id)

    def _chosen_before(self, sale_id: str, wish: Wish | None) -> dict[str, Any] | None:
        holds = self._ledger.attempts(sale_id)
        if not holds:
            return None
        if holds[-1].state is HoldState.DECLINED:
            return self.view(sale_id)
        if not holds[-1].is_approved:
            return None
        if entries.plan_id(holds[-1]) != (wish.plan if wish else None):
            raise IdempotencyConflict(f"sale {sale_id} was approved with another plan")
        return self.view(sale_id)

    async def _ask(self, order: Order, decision: Awaitable[Hold]) -> Hold:
        """Decide; whoever asks for this sale meanwhile, even before anything is recorded, hears that it is asked."""
        self._asked.setdefault(order.sale_id, order)
        self._show(order.sale_id)
        waiting = self._waiting_for(order.sale_id)
        if waiting is not None:
            waiting.fault = None
        try:
            self._events.publish("sale", self.view(order.sale_id))
            hold = await decision
            if hold.state is not HoldState.DECLINED and self._waiting_for(order.sale_id):
                self._waiting = None
            return hold
        finally:
            if self._asked.get(order.sale_id) == order:  # nothing was announced: it is known since before, or failed
                del self._asked[order.sale_id]
                self._tell(order.sale_id)

    def look_at(self, sale_id: str, plan: str | None) -> dict[str, Any] | None:
        """Show the whole statement of one offer, or all beside each other; None if no sale waits for a choice."""
        waiting = self._waiting_for(sale_id)
        if waiting is None or waiting.menu is None:
            return None
        waiting.looked_at = plan if any(said.plan_id == plan for said in waiting.menu.statements) else None
        self._events.publish("sale", self.view(sale_id))
        return self.view(sale_id)

    def dismiss(self, sale_id: str) -> bool:
        """Show this sale no more; one that waits is given up. False while it is being asked for."""
        if sale_id in self._asked:
            return False
        if self._waiting_for(sale_id) is not None:
            self._waiting = None
        if sale_id == self.shown(0):
            self._show(None)
        self._events.publish("counter", {"sale": self.shown(0)})
        return True

    def shown(self, since_s: int) -> str | None:
        """The sale that page and display show. After a start: the last one, unless it was recorded before
        ``since_s``: whoever looks must not wonder whether it went through."""
        if self._is_new and self._shown is None:
            last = next(iter(self._ledger.recent_sales(1)), None)
            is_fresh = last and self._ledger.sale_entries(last.sale_id)[-1].entry.recorded_at >= since_s
            return last.sale_id if last and is_fresh else None
        return self._shown

    @property
    def has_just_started(self) -> bool:
        """Whether nothing was shown since the start: what ``shown`` tells is of before."""
        return self._is_new

    def _show(self, sale_id: str | None) -> None:
        self._shown, self._is_new = sale_id, False

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tell(self, sale_id: str) -> None:
        """Whoever shows this sale hears where it stands; a ledger that cannot be read says so when it is asked."""
        with contextlib.suppress(CounterfoilError):
            self._events.publish("sale", self.view(sale_id))

    async def _tell_waiters(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def wait(self, sale_id: str, until: Callable[[dict[str, Any]], bool], timeout_s: float) -> dict[str, Any]:
        """The sale as soon as ``until`` holds, or as it stands after ``timeout_s``."""

        async def holds() -> None:
            async with self._changed:
                await self._changed.wait_for(lambda: until(self.view(sale_id)))

        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(holds(), timeout_s)
        return self.view(sale_id)

    def announce(self, hold: Hold) -> None:
        """A durable outcome: tell everybody who shows this sale."""
        self._asked.pop(hold.sale_id, None)
        # A view costs a tenth of a decision: none is made for nobody.
        self._events.publish_if_heard("sale", lambda: self.view(hold.sale_id))
        self._spawn(self._tell_waiters())

    def knows(self, sale_id: str) -> bool:
        is_open = sale_id in self._asked or self._waiting_for(sale_id) is not None
        return is_open or bool(self._ledger.attempts(sale_id))

    def _waiting_for(self, sale_id: str) -> _Waiting | None:
        return self._waiting if self._waiting is not None and self._waiting.order.sale_id == sale_id else None

    def view(self, sale_id: str) -> dict[str, Any]:
        """Where a sale stands, for the page, the POS and the command line."""
        attempts = self._ledger.attempts(sale_id)
        asked, waiting = self._asked.get(sale_id), self._waiting_for(sale_id)
        view: dict[str, Any] = {"sale_id": sale_id, "attempt": len(attempts), "state": "waiting", "mode": None}
        chooses = waiting is not None and waiting.menu is not None
        if attempts and (asked is not None or not chooses):  # who chooses is not who was declined
            view |= self.views.outcome(attempts[-1])
        order = asked or (waiting.order if waiting else None)
        if order is not None:
            view |= {"amount": order.amount.to_wire(), "waiting_for_code": asked is None and not chooses}
            own = [next_deeds.SHOW_CODE] if self._checkout.shows_codes else []
            view["may"] = [*view.get("may", ()), *next_deeds.WAITING, *own]
        if asked is not None:
            view |= {"state": "asking"} | self._asking(sale_id)
        elif waiting is not None and waiting.menu is not None:
            view |= self.views.choosing(waiting.menu, waiting.refused) | {"looked_at": waiting.looked_at}
            view["may"] = [*next_deeds.CHOOSING]
        elif waiting is not None and waiting.fault is not None:
            view |= {"state": "unknown", "reason": waiting.fault.code} | self.views.texts(waiting.fault.code)
        return view

    def _asking(self, sale_id: str) -> dict[str, Any]:
        """What is waited for: the backend's answer, a wallet, or somebody who pays the code that is shown."""
        wallets = self._checkout.wallets
        shown, is_wallet = wallets.code_of(sale_id), wallets.is_waiting(sale_id)
        deeds = next_deeds.CODE_SHOWN if shown else next_deeds.WALLET_ASKED if wallets.can_abandon(sale_id) else ()
        view: dict[str, Any] = {"may": [*deeds]}
        if shown is None:
            return view | self.views.texts("wallet_pending" if is_wallet else "asking")
        code, left_s = shown
        own = {"lender": code.lender, "own_code": {"text": code.text, "left_s": left_s}}
        return view | own | self.views.texts("code_shown")
