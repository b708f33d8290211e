"""A slow till: a hand's keys are never lost or taken for a scanner's, and a scanner's never type an amount."""

import time
from collections.abc import Iterator, Sequence

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")

from playwright.sync_api import CDPSession, expect

from tests.page.shopfront import Eyes, Shopfront, approved
from tests.page.test_counter_story import pay_in_full

pytestmark = pytest.mark.proof

SLOWER = 6
HAND_S, SCANNER_S = 0.08, 0.004
"""Between two keys: a practised hand on a number pad, and a scanner that types like a keyboard."""


@pytest.fixture
def slow(cashier: Eyes) -> Iterator[CDPSession]:
    session = cashier.page.context.new_cdp_session(cashier.page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    yield session
    session.detach()


def struck(session: CDPSession, keys: Sequence[str], every_s: float, after_s: float = 0.0) -> None:
    """Keys that were struck so far apart, whenever the page comes to handle them."""
    begins_s = time.time() + after_s  # before the page was opened there is no time for it
    for number, key in enumerate(keys):
        text = {"text": key} if len(key) == 1 else {"text": "\r"}
        at = {"key": key, "timestamp": begins_s + number * every_s}
        session.send("Input.dispatchKeyEvent", {"type": "keyDown", **at, **text})
        session.send("Input.dispatchKeyEvent", {"type": "keyUp", **at})


def test_an_amount_typed_by_hand_is_the_amount(shop: Shopfront, cashier: Eyes, slow: CDPSession) -> None:
    struck(slow, "12345.67", HAND_S)
    cashier.sees("ready", "¥12,345.67")
    struck(slow, ["Enter"], HAND_S, 10.0)
    cashier.sees("waiting", "¥12,345.67")


@pytest.mark.parametrize("code", ["69012345678920123456", "281234567890123456"])
def test_a_burst_of_a_scanner_types_nothing_into_the_amount_and_charges_nothing(
    shop: Shopfront, cashier: Eyes, slow: CDPSession, code: str
) -> None:
    struck(slow, "12", HAND_S)
    struck(slow, [*code, "Enter"], SCANNER_S, 10.0)
    cashier.sees("ready", "¥12.00")
    struck(slow, "5", HAND_S, 20.0)
    cashier.sees("ready", "¥125.00")
    assert shop.do(lambda: shop.till.counter.shown(0)) is None


def test_a_thousand_events_in_a_burst_leave_the_page_with_what_is_true(
    shop: Shopfront, cashier: Eyes, slow: CDPSession
) -> None:
    """Scans, what devices say, sales that come and go; more than the lane keeps for whoever cannot keep up."""
    counter, events = shop.till.counter, shop.till.lane.events

    def burst() -> None:
        for number in range(400):
            counter.scanned(f"item {number}".encode(), "counter")
            events.publish("devices", {"printer": "paper_out"})
            events.publish("link", {"state": "down", "detail": ""})

    shop.lane.client.post("/v1/sales", {"sale_id": "pos-sale-1", "amount": {"minor": 7_700, "currency": "CNY"}})
    cashier.sees("waiting")
    shop.do(burst)
    shop.backend(approved)
    shop.scan()
    shop.do(burst)
    cashier.sees("approved", "¥77.00")
    shop.do(burst)
    cashier.keys("5")
    expect(cashier.page.locator(".amount")).to_contain_text("¥5.00")
    cashier.keys("Enter")
    cashier.sees("waiting", "¥5.00")
    shop.scan()
    pay_in_full(cashier)
    cashier.sees("approved", "¥5.00")
