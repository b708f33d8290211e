"""Who may do what at the page: PINs, roles, lockout, and leaving."""

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")

from playwright.sync_api import expect

from agent.core.operators import LOCK_S, TRIES_MAX, Operator, Role
from tests.page.shopfront import Eyes, Shopfront
from tests.page.test_counter_story import to_approved

pytestmark = pytest.mark.proof

WHO = {"1": (Role.SUPERVISOR, "1357"), "12": (Role.CASHIER, "2468")}


@pytest.fixture
def staffed(shop: Shopfront) -> Shopfront:
    book = shop.lane.book
    for operator in [Operator(name, role, book.hashed(pin)) for name, (role, pin) in WHO.items()]:
        book.change(operator.name, lambda _, operator=operator: operator)
    return shop


def ask_refund(cashier: Eyes) -> None:
    cashier.page.keyboard.press("F3")
    cashier.page.get_by_role("button", name="Refund", exact=True).click()
    cashier.page.get_by_label("Amount").fill("28.50")
    cashier.page.locator(".confirm .main").click()


def sign_in(cashier: Eyes, name: str, pin: str) -> None:
    """By keyboard alone, into the dialog that asks."""
    cashier.page.locator("#operator").fill(name)
    cashier.page.locator("#pin").fill(pin)
    cashier.page.locator("#pin").press("Enter")


def test_a_cashier_who_may_not_calls_a_supervisor_who_lends_the_right_for_it(staffed: Shopfront, cashier: Eyes) -> None:
    to_approved(staffed, cashier)
    ask_refund(cashier)
    fault = cashier.page.locator("dialog form .fault").last
    expect(fault).to_contain_text("An operator must sign in")
    sign_in(cashier, "12", "1357")
    expect(fault).to_contain_text("Wrong number or PIN")
    expect(cashier.page.locator("#pin")).to_have_value("")
    sign_in(cashier, "12", "2468")
    expect(cashier.page.locator("#pin")).to_have_count(0)
    expect(cashier.page.locator("dialog .fault")).to_contain_text("A supervisor must do this")
    assert staffed.sale["refunded"]["minor"] == 0
    cashier.page.locator(".confirm .main").click()
    expect(cashier.page.locator("dialog form .fault").last).to_contain_text("A supervisor must do this")
    sign_in(cashier, "1", "1357")
    expect(cashier.page.locator("dialog .done")).to_have_text("Done")
    assert staffed.sale["refunded"]["minor"] == 2_850


def test_a_pin_that_is_guessed_too_often_locks_and_nothing_is_given_back(staffed: Shopfront, cashier: Eyes) -> None:
    to_approved(staffed, cashier)
    ask_refund(cashier)
    for tries in range(1, TRIES_MAX + 1):
        sign_in(cashier, "1", "1111")
        cashier.until(lambda tries=tries: staffed.lane.book.all()["1"].failures == tries)
        expect(cashier.page.locator("#pin")).to_have_value("")
    fault = cashier.page.locator("dialog form .fault").last
    expect(fault).to_contain_text("locked")
    sign_in(cashier, "1", "1357")
    expect(cashier.page.locator("#pin")).to_have_value("")
    expect(fault).to_contain_text("locked")
    staffed.do(lambda: staffed.till.clock.pass_time(LOCK_S + 1))
    sign_in(cashier, "1", "1357")
    expect(cashier.page.locator("dialog .done")).to_have_text("Done")
    assert staffed.sale["refunded"]["minor"] == 2_850


def test_whoever_closes_the_question_for_a_pin_has_done_nothing(staffed: Shopfront, cashier: Eyes) -> None:
    to_approved(staffed, cashier)
    ask_refund(cashier)
    expect(cashier.page.locator("#pin")).to_be_visible()
    cashier.page.keyboard.press("Escape")
    expect(cashier.page.locator("#pin")).to_have_count(0)
    assert staffed.sale["refunded"]["minor"] == 0
    assert staffed.lane.book.all()["1"].failures == 0
