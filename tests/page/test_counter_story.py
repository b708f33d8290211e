"""The counter in a real browser: a sale by keyboard, by touch, by scanner, through reloads, restarts and two tabs."""

import time
from collections.abc import Callable

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")

from playwright.sync_api import BrowserContext, Route, expect

from agent.core.operators import Operator, Role
from tests.page.shopfront import Eyes, Shopfront, approved, declined

pytestmark = pytest.mark.proof


def pay_in_full(eyes: Eyes) -> None:
    eyes.sees("choosing")
    eyes.keys("Enter")


def to_waiting(shop: Shopfront, cashier: Eyes) -> None:
    cashier.keys("128.5", "Enter")
    cashier.sees("waiting", "¥128.50")


def to_choosing(shop: Shopfront, cashier: Eyes) -> None:
    to_waiting(shop, cashier)
    shop.scan()
    cashier.sees("choosing")


def to_approved(shop: Shopfront, cashier: Eyes) -> None:
    shop.backend(approved)
    to_choosing(shop, cashier)
    cashier.keys("Enter")
    cashier.sees("approved")


def to_offline(shop: Shopfront, cashier: Eyes) -> None:
    shop.backend(None)
    to_choosing(shop, cashier)
    cashier.keys("Enter")
    cashier.sees("approved_offline")


def to_declined(shop: Shopfront, cashier: Eyes) -> None:
    to_waiting(shop, cashier)
    shop.scan(shop.do(lambda: shop.till.phone().code(age_s=600)))
    cashier.sees("declined")


STATES = {"waiting": to_waiting, "approved": to_approved, "approved_offline": to_offline, "declined": to_declined}


def test_the_whole_story_by_keyboard_alone_and_the_customer_sees_all_costs_first(
    shop: Shopfront, cashier: Eyes, customer: Eyes
) -> None:
    shop.backend(approved)
    to_choosing(shop, cashier)
    customer.sees("choosing", "Annual rate")
    cashier.keys("2")
    expect(customer.page.locator(".statement")).to_contain_text("Nothing else is charged")
    expect(cashier.page.locator("tr.chosen")).to_contain_text("3 payments")
    cashier.keys("Enter")
    cashier.sees("approved", "Give the slip")
    customer.sees("approved", "Payment successful")
    assert shop.sales[0]["plan"]["plan"] == "3x"
    cashier.keys("Enter")
    cashier.sees("ready")
    customer.sees("ready")


def test_the_whole_story_by_touch(shop: Shopfront, cashier: Eyes) -> None:
    shop.backend(approved)
    for key in ("6", "0", "."):
        cashier.page.get_by_role("button", name=key, exact=True).tap()
    cashier.page.get_by_role("button", name="Charge").tap()
    cashier.sees("waiting", "¥60.00")
    shop.scan()
    cashier.sees("choosing")
    cashier.page.get_by_role("button", name="Pay without").tap()
    cashier.sees("approved")
    cashier.page.get_by_role("button", name="Next sale").tap()
    cashier.sees("ready")


def test_a_scanner_that_types_like_a_keyboard_changes_no_amount_and_opens_no_sale(
    shop: Shopfront, cashier: Eyes
) -> None:
    cashier.keys("12")
    time.sleep(0.2)
    cashier.page.evaluate(
        """() => [...'6901234567892', 'Enter']
             .map((key) => new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}))
             .forEach((struck) => document.dispatchEvent(struck))"""
    )
    cashier.sees("ready", "¥12.00")
    time.sleep(0.3)
    assert shop.do(lambda: shop.till.counter.shown(0)) is None


def test_a_double_click_or_two_enters_make_one_sale(shop: Shopfront, cashier: Eyes) -> None:
    shop.backend(None)
    cashier.keys("9")
    cashier.page.get_by_role("button", name="Charge").dblclick()
    cashier.sees("waiting")
    shop.scan()
    cashier.sees("choosing")
    cashier.page.get_by_role("button", name="Pay without").dblclick()
    cashier.sees("approved_offline")
    assert len(shop.sales) == 1


def test_the_second_half_of_a_double_click_does_not_send_the_outcome_away(shop: Shopfront, cashier: Eyes) -> None:
    to_approved(shop, cashier)
    again = cashier.page.locator("#stage .main")
    again.dispatch_event("click", {"detail": 2})
    time.sleep(0.3)
    cashier.sees("approved")
    again.click()
    cashier.sees("ready")


def test_digits_that_were_pressed_while_a_sale_was_open_do_not_hide_that_it_was_approved(
    shop: Shopfront, cashier: Eyes
) -> None:
    shop.backend(approved)
    to_declined(shop, cashier)
    cashier.keys("7")
    shop.scan()
    pay_in_full(cashier)
    cashier.sees("approved", "¥128.50")


@pytest.mark.parametrize("state", STATES)
def test_a_reload_and_a_restart_of_the_agent_show_the_sale_exactly_where_it_is(
    shop: Shopfront, cashier: Eyes, customer: Eyes, state: str
) -> None:
    reach: Callable[[Shopfront, Eyes], None] = STATES[state]
    reach(shop, cashier)
    cashier.reload()
    cashier.sees(state, "¥128.50")
    shop.stop()
    cashier.sees("lost", "Do not charge again")
    customer.sees("lost")
    shop.start()
    cashier.sees(state, "¥128.50")
    customer.sees(state)
    assert len(shop.sales) == (0 if state == "waiting" else 1)


def test_a_sale_that_is_asked_for_is_shown_so_after_a_reload(shop: Shopfront, cashier: Eyes) -> None:
    shop.backend(approved, after_s=60)
    to_choosing(shop, cashier)
    cashier.keys("Enter")
    cashier.sees("asking", "do not scan again")
    cashier.reload()
    cashier.sees("asking", "¥128.50")


def test_two_tabs_agree_on_every_step(shop: Shopfront, cashier: Eyes, context: BrowserContext) -> None:
    shop.backend(approved)
    other = Eyes(context, shop.address)
    to_choosing(shop, cashier)
    other.sees("choosing")
    other.keys("3")
    expect(cashier.page.locator("tr.chosen")).to_contain_text("6 payments")
    cashier.keys("Enter")
    other.sees("approved")
    other.keys("Enter")
    cashier.sees("ready")
    assert len(shop.sales) == 1


def test_a_sale_that_was_given_up_takes_no_code_and_does_not_come_back(shop: Shopfront, cashier: Eyes) -> None:
    to_waiting(shop, cashier)
    cashier.keys("Escape")
    cashier.sees("ready")
    shop.scan()
    cashier.reload()
    cashier.sees("ready")
    assert shop.sales == []


def test_a_decline_gives_the_reason_to_each_in_their_words_and_another_code_pays(
    shop: Shopfront, cashier: Eyes, customer: Eyes
) -> None:
    to_declined(shop, cashier)
    cashier.sees("declined", "Ask for a fresh code")
    customer.sees("declined", "please refresh it")
    shop.backend(declined("1A", reason="step_up"))
    shop.scan()
    pay_in_full(cashier)
    cashier.sees("step_up", "Customer must verify")
    customer.sees("step_up", "fingerprint")


@pytest.mark.parametrize(
    ("typed", "words"), [("1.234", "Too many decimals"), ("0", "Type an amount first"), ("1.2.", "This is no amount")]
)
def test_a_wrong_amount_is_refused_with_a_word(shop: Shopfront, cashier: Eyes, typed: str, words: str) -> None:
    cashier.keys(typed, *(["Enter"] if typed == "0" else []))
    cashier.sees("ready", words)
    assert shop.do(lambda: shop.till.counter.shown(0)) is None


@pytest.mark.parametrize(
    ("field", "wrong", "right"),
    [("#sale-id", "1.28", "128.5"), ("#sale-id", "ffff", "its account"), ("#sale-day", "2020-01-01", "")],
    ids=["amount", "account", "day"],
)
def test_a_sale_whose_slip_is_lost_is_found_by_what_the_customer_remembers(
    shop: Shopfront, cashier: Eyes, field: str, wrong: str, right: str
) -> None:
    def search(words: str, found: int) -> None:
        cashier.page.locator(field).fill(words)
        cashier.page.locator(".search button").click()
        expect(cashier.page.locator(".sales .sale")).to_have_count(found)

    to_approved(shop, cashier)
    cashier.keys("Enter")
    cashier.sees("ready")
    cashier.keys("F2")
    expect(cashier.page.locator(".sales .sale")).to_have_count(1)
    search(wrong, 0)
    expect(cashier.page.locator("dialog .fault")).to_have_text("No such sale; older ones are found by their day")
    search(shop.sales[0]["account"] if right == "its account" else right, 1)
    cashier.page.locator(".sales .sale").click()
    expect(cashier.page.locator("dialog .head")).to_contain_text("¥128.50")


def test_a_sale_is_found_and_refunded_in_part_once(shop: Shopfront, cashier: Eyes) -> None:
    to_approved(shop, cashier)
    cashier.keys("F3")
    cashier.page.get_by_role("button", name="Refund", exact=True).click()
    cashier.page.get_by_label("Amount").fill("1000")
    cashier.page.locator(".confirm .main").click()
    expect(cashier.page.locator("dialog .fault")).to_contain_text("At most ¥128.50")
    expect(cashier.page.get_by_label("Amount")).to_have_value("1000")
    cashier.page.get_by_label("Amount").fill("28.50")
    cashier.page.locator(".confirm .main").dblclick()
    expect(cashier.page.locator("dialog .done")).to_have_text("Done")
    assert shop.sales[0]["refunded"]["minor"] == 2_850


def test_a_refund_whose_answer_was_lost_is_the_same_one_when_it_is_begun_anew(shop: Shopfront, cashier: Eyes) -> None:
    to_approved(shop, cashier)
    cashier.keys("F3")

    def refund() -> None:
        cashier.page.get_by_role("button", name="Refund", exact=True).click()
        cashier.page.get_by_label("Amount").fill("28.50")
        cashier.page.locator(".confirm .main").click()

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    cashier.page.route("**/refund", lose)
    refund()
    expect(cashier.page.locator("dialog .fault")).not_to_be_empty()
    cashier.page.unroute("**/refund")
    cashier.page.locator(".confirm").get_by_role("button", name="Not now").click()
    refund()
    expect(cashier.page.locator("dialog .done")).to_have_text("Done")
    assert shop.sales[0]["refunded"]["minor"] == 2_850


def test_a_key_that_is_pressed_twice_opens_one_dialog(shop: Shopfront, cashier: Eyes) -> None:
    cashier.page.evaluate(
        """() => ["F2", "F2"].forEach((key) =>
            document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })))"""
    )
    expect(cashier.page.locator("dialog")).to_have_count(1)
    time.sleep(0.3)
    assert cashier.page.locator("dialog").count() == 1


def test_a_pin_that_is_entered_twice_at_once_is_one_try(shop: Shopfront, cashier: Eyes) -> None:
    book = shop.lane.book
    book.change("1", lambda _: Operator("1", Role.SUPERVISOR, book.hashed("2468")))
    cashier.keys("F4")
    cashier.page.get_by_role("button", name="Cash count").click()
    cashier.page.locator("#operator").fill("1")
    cashier.page.locator("#pin").fill("1357")
    cashier.page.evaluate(
        "() => { const form = document.querySelector('dialog form'); form.requestSubmit(); form.requestSubmit(); }"
    )
    expect(cashier.page.locator("dialog .fault").last).to_contain_text("Wrong number or PIN")
    time.sleep(0.5)
    assert book.all()["1"].failures == 1


def test_the_language_changes_at_once_and_stays(shop: Shopfront, cashier: Eyes) -> None:
    to_waiting(shop, cashier)
    cashier.keys("F9")
    cashier.sees("waiting", "请扫描顾客的付款码")
    cashier.reload()
    cashier.sees("waiting", "等待扫码")
