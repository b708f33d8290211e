"""The counter: the sale that waits for a code, the scans that arrive, and what everybody is told.

The one rule: a scan goes to the waiting sale if it is meant to pay, and to the POS as an event if it is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from agent.core.authorization import Hold, HoldState
from agent.core.classify import classify
from agent.core.receipt import masked
from agent.errors import CounterfoilError, IdempotencyConflict
from agent.ports import Ledger
from agent.services.checkout import Checkout, Order
from agent.texts import Language, text

LOG: Final = logging.getLogger(__name__)
EVENTS_WAITING_MAX: Final = 1000
SHOWN_STATES: Final = {
    HoldState.INTENDED: "asking",
    HoldState.AUTHORIZED: "approved",
    HoldState.CAPTURED: "approved",
    HoldState.DECLINED: "declined",
    HoldState.REVERSED: "reversed",
}
PAYING_KINDS: Final = ("credit_pass", "wallet_alipay", "wallet_wechat", "wallet_unionpay")


@dataclass(slots=True)
class Events:
    """Tells every listener; one that does not keep up loses the oldest, never the lane's time."""

    _listeners: set[asyncio.Queue[dict[str, Any]]] = field(default_factory=set)
    _count: int = 0

    def publish(self, kind: str, body: dict[str, Any]) -> None:
        self._count += 1
        event = {"id": self._count, "type": kind, "data": body}
        for listener in self._listeners:
            if listener.full():
                listener.get_nowait()
            listener.put_nowait(event)

    def subscribe(self) -> asyncio.Queue[dict[str, Any]]:
        listener: asyncio.Queue[dict[str, Any]] = asyncio.Queue(EVENTS_WAITING_MAX)
        self._listeners.add(listener)
        return listener

    def unsubscribe(self, listener: asyncio.Queue[dict[str, Any]]) -> None:
        self._listeners.discard(listener)


@dataclass(slots=True)
class _Waiting:
    order: Order
    asking: bool = False
    fault: CounterfoilError | None = None


class Counter:
    """Opens sales, takes scans, shows where a sale stands."""

    def __init__(self, checkout: Checkout, ledger: Ledger, events: Events, language: Language) -> None:
        self._checkout, self._ledger, self._events, self._language = checkout, ledger, events, language
        self._waiting: _Waiting | None = None
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open_sale(self, order: Order, code: str | None = None) -> dict[str, Any]:
        """A sale that waits for the next code, or is decided at once with ``code``. The sale of before is dropped:
        it has no outcome yet, or it is over. Raises IdempotencyConflict and ledger faults."""
        if code is not None:
            await self._checkout.sell(order, code)
        elif not self._answered(order):
            self._waiting = _Waiting(order)
            self._events.publish("sale", self.view(order.sale_id))
        return self.view(order.sale_id)

    def _answered(self, order: Order) -> bool:
        """Whether this sale needs no code: it went through, or is being asked for now."""
        attempts = self._ledger.attempts(order.sale_id)
        if attempts and (attempts[-1].amount_minor, attempts[-1].currency) != (
            order.amount.minor,
            order.amount.currency,
        ):
            raise IdempotencyConflict(f"sale {order.sale_id} was another amount before")
        waiting = self._waiting
        if waiting and waiting.order.sale_id == order.sale_id:
            if waiting.order != order:
                raise IdempotencyConflict(f"sale {order.sale_id} is open with other content")
            return True
        return bool(attempts) and attempts[-1].state is not HoldState.DECLINED

    def scanned(self, raw: bytes, device: str) -> None:
        """A code from any scanner. Never blocks; a code that cannot pay is the POS's."""
        code = classify(raw)
        waiting = self._waiting
        if waiting is None or waiting.asking or code.kind not in PAYING_KINDS:
            # A credential is never handed on: whoever listens learns only that one was shown.
            value = None if code.kind in PAYING_KINDS else code.value
            self._events.publish("scan", {"kind": code.kind, "device": device, "value": value})
            return
        waiting.asking = True
        self._spawn(self._sell(waiting, code.value))

    async def _sell(self, waiting: _Waiting, code: str) -> None:
        self._events.publish("sale", self.view(waiting.order.sale_id))
        try:
            hold = await self._checkout.sell(waiting.order, code)
        except CounterfoilError as fault:
            waiting.fault = fault
            LOG.error("a sale could not be recorded", extra={"sale_id": waiting.order.sale_id, "code": fault.code})
        else:
            if hold.state is not HoldState.DECLINED and self._waiting is waiting:
                self._waiting = None
        waiting.asking = False
        await self._tell_waiters()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
        self._events.publish("sale", self.view(hold.sale_id))

    def knows(self, sale_id: str) -> bool:
        return self._is_waiting(sale_id) or bool(self._ledger.attempts(sale_id))

    def _is_waiting(self, sale_id: str) -> bool:
        return self._waiting is not None and self._waiting.order.sale_id == sale_id

    def view(self, sale_id: str) -> dict[str, Any]:
        """Where a sale stands, for the page, the POS and the command line."""
        attempts = self._ledger.attempts(sale_id)
        waiting = self._waiting if self._is_waiting(sale_id) else None
        view: dict[str, Any] = {"sale_id": sale_id, "attempt": len(attempts), "state": "waiting", "mode": None}
        if attempts:
            view |= self._outcome(attempts[-1])
        if waiting is not None:
            order = waiting.order
            view |= {"amount": order.amount.to_wire(), "waiting_for_code": not waiting.asking}
            if waiting.asking:
                view |= {"state": "asking"} | self._texts("asking")
            if waiting.fault is not None:
                view |= {"state": "unknown", "reason": waiting.fault.code} | self._texts(waiting.fault.code)
        return view

    def _outcome(self, hold: Hold) -> dict[str, Any]:
        jobs = self._ledger.print_jobs(hold.sale_id)
        return {
            "state": SHOWN_STATES[hold.state],
            "hold": str(hold.state),
            "attempt": hold.attempt,
            "lender": hold.lender,
            "account": masked(hold.account),
            "mode": hold.mode,
            "response_code": hold.response_code,
            "reason": hold.reason,
            "authorization_code": hold.authorization_code,
            "amount": {"minor": hold.amount_minor, "currency": hold.currency},
            "print_jobs": [{"job_id": job.job_id, "state": job.state, "rung": job.rung} for job in jobs],
            "printed": any(job.state == "printed" for job in jobs),
            "acknowledged": self._is_acknowledged(hold.sale_id),
        } | self._texts(hold.reason or "asking")

    def _is_acknowledged(self, sale_id: str) -> bool:
        entries = self._ledger.sale_entries(sale_id)
        if not entries:
            return False
        last = entries[-1].entry
        return last.number <= self._ledger.cursor(last.epoch).acknowledged_through

    def _texts(self, reason: str) -> dict[str, Any]:
        return {"texts": {name: text(self._language, reason, name) for name in ("cashier", "customer", "next")}}
