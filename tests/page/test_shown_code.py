"""A customer without a readable code: F5 shows the lane's own on the display, and the app's payment ends the sale."""

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")
pytest.importorskip("zxingcpp", reason="the camera extra is not installed")

import cv2
import numpy as np
import zxingcpp
from playwright.sync_api import expect

from agent.core.merchant_code import read_code
from agent.services.shown_codes import Sign
from tests.page.shopfront import Eyes, Shopfront, approved, declined
from tests.page.test_counter_story import to_waiting
from tests.services.lanes import CUSTOMER

pytestmark = pytest.mark.proof

AMOUNT = {"minor": 12_850, "currency": "CNY"}
PENDING = declined("09", reason="code_shown", pending=True)
SIGN = Sign("m1", "Corner Shop", "Shanghai", "CN", "街角小店", "s1")


def to_code(shop: Shopfront, cashier: Eyes) -> None:
    """Of a lane that has a sign since its last start."""
    shop.till.settings["sign"] = SIGN
    shop.stop()
    cashier.sees("lost")
    shop.start()
    shop.till.tell_time()
    shop.backend(PENDING)
    shop.till.backend.known = PENDING
    cashier.sees("ready")
    to_waiting(shop, cashier)
    cashier.keys("F5")
    cashier.sees("code")


def on_screen(eyes: Eyes) -> str:
    """What a phone reads off the display."""
    expect(eyes.page.locator(".own-code img")).to_be_visible()
    eyes.until(lambda: eyes.page.evaluate("document.querySelector('.own-code img').complete"))
    picture = cv2.imdecode(np.frombuffer(eyes.page.screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
    (code,) = zxingcpp.read_barcodes(picture)
    return str(code.text)


def test_the_code_on_the_display_is_read_by_a_phone_and_its_payment_ends_the_sale(
    shop: Shopfront, cashier: Eyes, customer: Eyes
) -> None:
    to_code(shop, cashier)
    customer.sees("code", "¥128.50")
    shown = read_code(on_screen(customer))
    assert (shown.amount.minor, shown.amount.currency) == (12_850, "CNY")
    cashier.reload()
    cashier.sees("code", "¥128.50")
    assert on_screen(cashier) == on_screen(customer)
    shop.till.backend.known = approved({"amount": AMOUNT}, account=CUSTOMER.hex())
    cashier.sees("approved", "¥128.50")
    customer.sees("approved")


def test_a_code_that_nobody_pays_is_given_up_with_one_key(shop: Shopfront, cashier: Eyes, customer: Eyes) -> None:
    to_code(shop, cashier)
    customer.sees("code")
    cashier.keys("Escape")
    cashier.sees("declined")
    customer.sees("declined")
    assert shop.sales[0]["reason"] == "code_abandoned"
