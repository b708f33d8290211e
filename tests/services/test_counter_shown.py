"""What page and customer display show: one sale, the same for all who look, until the cashier is done with it."""

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.services.lanes import NOW_S, Till, approved, order
from tests.uplink.world import run

SALE = "sale-0001"


def test_a_dismissed_sale_takes_no_code_any_more(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order())
        assert till.counter.shown(NOW_S) == SALE
        assert till.counter.dismiss(SALE)
        till.counter.scanned(till.phone().code().encode(), "counter")
        await asyncio.sleep(0)
        assert (till.counter.shown(NOW_S), till.counter.knows(SALE)) == (None, False)

    run(story())


def test_a_sale_that_is_asked_for_cannot_be_dismissed(till: Till) -> None:
    async def story() -> None:
        async def answers(request: Mapping[str, Any]) -> Any:
            await asyncio.sleep(0.5)
            return approved(request)

        till.backend.available, till.backend.answer = True, answers
        await till.counter.open_sale(order())
        till.counter.scanned(till.phone().code().encode(), "counter")
        assert not till.counter.dismiss(SALE)
        assert (await till.counter.wait(SALE, lambda view: view["state"] == "approved", 5))["state"] == "approved"
        assert till.counter.shown(NOW_S) == SALE

    run(story())


def test_a_sale_of_before_is_dismissed_without_touching_the_one_that_waits(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order(SALE))
        await till.counter.open_sale(order("sale-0002"))
        assert till.counter.dismiss(SALE)
        assert till.counter.shown(NOW_S) == "sale-0002"

    run(story())


def test_after_a_restart_the_last_sale_is_shown_unless_it_is_an_old_one_or_was_dismissed(till: Till) -> None:
    run(till.counter.open_sale(order(), till.phone().code()))
    till.restart()
    assert till.counter.shown(NOW_S) == SALE
    assert till.counter.shown(NOW_S + 1) is None
    assert till.counter.dismiss(SALE)
    assert till.counter.shown(0) is None


def test_the_statement_of_one_plan_is_looked_at_by_everybody(till: Till) -> None:
    async def story() -> None:
        assert till.counter.look_at(SALE, "3x") is None
        await till.counter.open_sale(order(minor=24_000, asks_offers=True))
        till.counter.scanned(till.phone().code().encode(), "counter")
        await till.counter.wait(SALE, lambda view: view["state"] == "choosing", 5)
        listener = till.lane.events.subscribe()
        looked = till.counter.look_at(SALE, "3x")
        assert looked is not None
        assert looked["looked_at"] == listener.get_nowait()["data"]["looked_at"] == "3x"
        beside = till.counter.look_at(SALE, "no such plan")
        assert beside is not None
        assert beside["looked_at"] is None

    run(story())
