"""Wallet sales end to end: real lane, real uplink, real TLS, real backend, and a rail that moves nobody's money."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from agent.core.authorization import Hold, HoldState
from agent.core.money import Money
from agent.services.checkout import Order
from backend import payments
from backend.schema import Account, SandboxPayment
from tests.uplink.shop import Shop, Till, happens, open_shop

RAIL = "wallet_wechat"
AMOUNT_MINOR = 12_800
Story = Callable[[Shop, Till], Coroutine[Any, Any, None]]


def told(directory: Path, story: Story) -> None:
    async def shop() -> None:
        async with asyncio.timeout(300), open_shop(directory) as (shop, till):
            await story(shop, till)

    asyncio.run(shop())


async def sell(till: Till, sale_id: str, last: int, capture: str = "at_once") -> Hold:
    """A sale by a WeChat Pay code; its last digit says what the rail does."""
    order = Order(sale_id, Money(AMOUNT_MINOR, "CNY"), "5411", capture)
    return await till.lane.checkout.sell(order, f"13123456789012345{last}")


def returned_minor(sale_id: str) -> int:
    row = SandboxPayment.get_or_none(SandboxPayment.sale_id == sale_id)
    return int(row.returned_minor) if row else 0


def test_a_day_of_wallet_sales_is_paid_given_back_and_matched(tmp_path: Path) -> None:
    async def story(shop: Shop, till: Till) -> None:
        assert dict(till.lane.settings.rails)[RAIL] == "微信支付 WeChat Pay"
        paid = await sell(till, "sale-0001", 0)
        assert (paid.lender, paid.state, paid.mode) == (RAIL, HoldState.CAPTURED, "online")
        refused = await sell(till, "sale-0002", 8)
        assert (refused.state, refused.reason, refused.response_code) == (HoldState.DECLINED, "wallet_declined", "51")
        silent = await sell(till, "sale-0003", 7)
        assert (silent.state, silent.reason) == (HoldState.DECLINED, "wallet_unanswered")
        await sell(till, "sale-0004", 0, "later")
        await till.lane.holds.reverse("sale-0004", "customer")
        await happens(lambda: returned_minor("sale-0003") == returned_minor("sale-0004") == AMOUNT_MINOR)
        assert (returned_minor("sale-0001"), payments.owed()) == (0, [])
        report = await till.lane.settlement.close_day(RAIL)
        assert report is not None and (report.state, report.exceptions) == ("matched", 0)
        assert report.totals["captured"] == {"count": 1, "minor": AMOUNT_MINOR}
        assert all(account.used_minor == account.held_minor == 0 for account in Account.select())

    told(tmp_path, story)


def test_the_cashier_gives_up_and_the_wallet_gets_its_money_back(tmp_path: Path) -> None:
    async def story(shop: Shop, till: Till) -> None:
        selling = asyncio.create_task(sell(till, "sale-0001", 7))
        await happens(lambda: till.lane.checkout.wallets.abandon("sale-0001"))
        hold = await selling
        assert (hold.state, hold.reason, hold.response_code) == (HoldState.DECLINED, "wallet_abandoned", "17")
        await happens(lambda: returned_minor("sale-0001") == AMOUNT_MINOR)

    told(tmp_path, story)
