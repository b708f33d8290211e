"""Every state at the counter stays what it is: through a reload of the page, and through a restart of the agent."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")

from agent.errors import LedgerUnavailable
from tests.page.shopfront import Eyes, Shopfront, approved, declined
from tests.page.test_counter_story import pay_in_full, to_approved, to_choosing, to_declined, to_waiting
from tests.services.lanes import DAY_S

pytestmark = pytest.mark.proof

RAIL, CODE = "wallet_alipay", "281234567890123456"
AMOUNT = {"minor": 12_850, "currency": "CNY"}
PENDING = declined("09", reason="wallet_pending", pending=True)
Reach = Callable[[Shopfront, Eyes], None]


def to_asking(shop: Shopfront, cashier: Eyes) -> None:
    shop.backend(approved, after_s=600)
    to_choosing(shop, cashier)
    cashier.keys("Enter")
    cashier.sees("asking")


def to_answer(reason: str, code: str) -> Reach:
    def reach(shop: Shopfront, cashier: Eyes) -> None:
        shop.backend(declined(code, reason=reason))
        to_choosing(shop, cashier)
        cashier.keys("Enter")

    return reach


def to_wallet(shop: Shopfront, cashier: Eyes) -> None:
    """Of a lane that takes this wallet since its last start."""
    shop.till.settings["rails"] = {RAIL: "Alipay"}
    shop.stop()
    cashier.sees("lost")
    shop.start()
    shop.backend(PENDING)
    shop.till.backend.known = PENDING
    cashier.sees("ready")
    to_waiting(shop, cashier)
    shop.scan(CODE)
    cashier.sees("asking", "Waiting for the customer's wallet")


def to_changed(deed: str, *args: Any, **fields: Any) -> Reach:
    """What is done to an approved sale by somebody else, such as the POS."""

    def reach(shop: Shopfront, cashier: Eyes) -> None:
        to_approved(shop, cashier)
        shop.wait(lambda: getattr(shop.till.lane.holds, deed)(shop.sale["sale_id"], *args, **fields))

    return reach


def to_held(shop: Shopfront, cashier: Eyes) -> None:
    """A sale of the POS that is captured later."""
    shop.backend(approved)
    shop.lane.client.post("/v1/sales", {"sale_id": "pos-sale-1", "amount": AMOUNT, "capture": "later"})
    cashier.sees("waiting")
    shop.scan()
    cashier.sees("approved")


def to_reversed(shop: Shopfront, cashier: Eyes) -> None:
    to_held(shop, cashier)
    shop.lane.client.post("/v1/sales/pos-sale-1/reversal", {})


def to_expired(shop: Shopfront, cashier: Eyes) -> None:
    to_held(shop, cashier)
    shop.do(lambda: shop.till.clock.pass_time(60 * DAY_S))
    shop.wait(shop.till.lane.holds.expire_due)


class Story(NamedTuple):
    """How a state is reached, what is seen then, and after a restart, if that is something else."""

    reach: Reach
    state: str
    restarted: str | None = None


STORIES = {
    "choosing": Story(to_choosing, "choosing", "waiting"),
    "asking": Story(to_asking, "asking", "declined"),
    "wallet pending": Story(to_wallet, "asking"),
    "code too old": Story(to_declined, "declined"),
    "lender's no": Story(to_answer("limit_exceeded", "51"), "declined"),
    "step-up": Story(to_answer("step_up", "1A"), "step_up"),
    "refer": Story(to_answer("refer", "01"), "refer"),
    "held": Story(to_held, "approved"),
    "reversed": Story(to_reversed, "reversed"),
    "voided": Story(to_changed("void", "customer"), "voided"),
    "refunded": Story(to_changed("refund", None, request="r1", reason="goods"), "refunded"),
    "refunded in part": Story(to_changed("refund", 100, request="r1", reason="goods"), "refunded_in_part"),
    "expired": Story(to_expired, "expired"),
}
PAYABLE = ("waiting", "declined", "step_up", "refer")


@pytest.mark.parametrize("name", STORIES)
def test_a_state_survives_reload_and_restart_and_a_sale_that_was_not_paid_can_still_be(
    shop: Shopfront, cashier: Eyes, customer: Eyes, name: str
) -> None:
    story = STORIES[name]
    after = story.restarted or story.state
    story.reach(shop, cashier)
    cashier.sees(story.state)
    cashier.reload()
    cashier.sees(story.state, "¥128.50")
    shop.stop()
    cashier.sees("lost", "Do not charge again")
    shop.start()
    cashier.sees(after, "¥128.50")
    customer.sees(after, "¥128.50")
    if after in PAYABLE:
        cashier.reads_codes()
        shop.backend(approved)
        shop.scan()
        pay_in_full(cashier)
        cashier.sees("approved", "¥128.50")
        assert [sale["state"] for sale in shop.sales] == ["approved"]


def test_a_lane_that_cannot_record_says_that_nothing_was_charged_and_sells_when_it_can(
    shop: Shopfront, cashier: Eyes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise LedgerUnavailable("the disk is full")

    shop.backend(None)
    with monkeypatch.context() as broken:
        broken.setattr(shop.till.ledger, "record", full)
        shop.lane.client.post("/v1/sales", {"sale_id": "pos-sale-1", "amount": AMOUNT})
        cashier.sees("waiting")
        shop.scan()
        cashier.sees("unknown", "nothing charged")
        cashier.reload()
        cashier.sees("unknown", "¥128.50")
    shop.scan()
    cashier.sees("approved_offline", "¥128.50")


def test_a_wallets_customer_is_told_to_confirm_at_once_and_a_cashier_may_give_up(
    shop: Shopfront, cashier: Eyes, customer: Eyes
) -> None:
    to_wallet(shop, cashier)
    customer.sees("asking", "Please confirm on your phone")
    cashier.page.get_by_role("button", name="Stop waiting").click()
    cashier.sees("declined", "Given up: not paid")
    customer.sees("declined", "Not paid")


def test_after_a_restart_the_sale_that_waits_is_shown_and_not_the_one_before_it(
    shop: Shopfront, cashier: Eyes, customer: Eyes
) -> None:
    to_approved(shop, cashier)
    cashier.keys("Enter")
    cashier.sees("ready")
    cashier.keys("7", "Enter")
    cashier.reads_codes()
    shop.stop()
    cashier.sees("lost")
    shop.start()
    cashier.sees("waiting", "¥7.00")
    customer.sees("waiting", "¥7.00")
    shop.scan()
    pay_in_full(cashier)
    cashier.sees("approved", "¥7.00")
