"""The day at the counter's page, by keyboard alone: a shift, its drawer, what the day came to and what it carries."""

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")

from playwright.sync_api import Route, expect

from agent.core.journal import Kind
from agent.core.operators import Operator, Role
from agent.core.receipt import slip_code
from tests.page.shopfront import Eyes, Shopfront, approved
from tests.page.test_counter_story import to_approved, to_offline
from tests.slips.story import differing

pytestmark = pytest.mark.proof


def test_the_owner_sees_what_the_day_came_to_and_takes_it_along_as_a_table(shop: Shopfront, cashier: Eyes) -> None:
    to_approved(shop, cashier)
    cashier.keys("F6")
    seen = cashier.page.locator(".insights")
    expect(seen).to_contain_text("¥128.50")
    expect(seen.get_by_role("img")).to_have_accessible_name("Most in the hour from 16:00: ¥128.50")
    expect(seen.locator("rect.column")).not_to_have_count(0)
    with cashier.page.expect_download() as saved:
        cashier.page.get_by_role("link", name="CSV").press("Enter")
    assert saved.value.suggested_filename == "insights-2027-01-15.csv"
    assert "day,approved,,1,128.50,12850,CNY," in saved.value.path().read_text("utf-8-sig")


def test_a_basket_that_nobody_told_is_unknown_and_a_told_one_stands_beside(shop: Shopfront, cashier: Eyes) -> None:
    cashier.keys("F6")
    expect(cashier.page.locator(".insights")).to_contain_text("No credit sale was tried on 2027-01-15")
    cashier.keys("Escape")
    shop.backend(approved)
    to_approved(shop, cashier)
    cashier.keys("F6")
    expect(cashier.page.locator(".insights")).to_contain_text("has not told the sales of other tenders")
    cashier.keys("Escape")
    shop.do(lambda: shop.till.lane.insights.tell_other_tenders(None, 4, 20_000))
    cashier.keys("F6")
    expect(cashier.page.get_by_role("row", name="Without credit")).to_contain_text("¥50.00")


def test_the_day_before_is_one_key_away_and_tomorrow_is_not_there(shop: Shopfront, cashier: Eyes) -> None:
    to_approved(shop, cashier)
    cashier.keys("F6")
    cashier.page.get_by_role("button", name="The day before").press("Enter")
    expect(cashier.page.locator(".insights")).to_contain_text("No credit sale was tried on 2027-01-14")
    cashier.page.get_by_role("button", name="The day after").press("Enter")
    cashier.page.get_by_role("button", name="The day after").press("Enter")
    expect(cashier.page.locator(".insights")).to_contain_text("¥128.50")
    expect(cashier.page.get_by_label("Day", exact=True)).to_have_value("2027-01-15")


def test_a_shift_is_opened_and_closed_and_says_what_is_missing_in_the_drawer(shop: Shopfront, cashier: Eyes) -> None:
    cashier.keys("F7")
    cashier.page.get_by_label("Operator").fill("12")
    cashier.page.get_by_label("In the drawer at the start").fill("500")
    cashier.keys("Enter")
    counted = cashier.page.get_by_label("Counted in the drawer")
    expect(counted).to_be_focused()
    cashier.keys("Enter")
    expect(cashier.page.locator("dialog .fault")).to_have_text("Type an amount first")
    counted.fill("0")
    cashier.page.get_by_label("Cash taken").fill("-480.50")
    cashier.keys("Enter")
    expect(cashier.page.locator("dialog .note")).to_have_text("¥19.50 is missing")
    closed = shop.do(shop.till.lane.shifts.newest)
    assert (closed.operator, closed.float_minor, closed.cash_minor, closed.counted_minor) == ("12", 50_000, -48_050, 0)


def test_what_the_day_carries_on_is_told_line_by_line(shop: Shopfront, cashier: Eyes) -> None:
    to_offline(shop, cashier)
    cashier.keys("F8")
    cashier.page.get_by_role("button", name="Close the day").press("Enter")
    carried = cashier.page.locator("dialog .lines li")
    expect(carried.first).to_contain_text("Records still to be sent")
    expect(cashier.page.locator("dialog h4")).to_have_text("Carried to the next day")


def test_where_the_two_halves_differ_is_told_with_what_either_says(shop: Shopfront, cashier: Eyes) -> None:
    to_offline(shop, cashier)

    def differs() -> None:
        number = shop.till.entries(Kind.AUTHORIZATION)[-1].entry.number
        shop.till.backend.available = True
        shop.till.backend.settle = differing(number)  # type: ignore[method-assign]

    shop.do(differs)
    cashier.keys("F8")
    cashier.page.get_by_role("button", name="Close the day").press("Enter")
    told = cashier.page.locator("dialog")
    expect(told).to_contain_text("The halves differ")
    expect(told).to_contain_text("here 1 × ¥128.50there 0 × ¥0.00")
    expect(told).to_contain_text("here takenthere Disputed")
    expect(told).to_contain_text("Go through these lines with the lender")


def test_an_operator_who_signed_in_signs_out_with_one_key(shop: Shopfront, cashier: Eyes) -> None:
    book = shop.lane.book
    book.change("12", lambda _: Operator("12", Role.CASHIER, book.hashed("2468")))
    leave = cashier.page.locator("#keys").get_by_text("Sign out 12")
    cashier.keys("F8")
    cashier.page.get_by_role("button", name="Close the day").press("Enter")
    cashier.page.get_by_label("Operator", exact=True).last.fill("12")
    cashier.page.get_by_label("PIN").fill("2468")
    cashier.keys("Enter")
    expect(cashier.page.locator("dialog .totals")).to_be_visible()
    cashier.keys("Escape")
    expect(leave).to_be_visible()
    cashier.reload()
    expect(leave).to_be_visible()
    cashier.keys("F10")
    expect(leave).to_have_count(0)
    expect(cashier.page.locator("#toast")).to_have_text("Signed out")


def test_a_pin_that_a_supervisor_lends_is_gone_with_its_deed(shop: Shopfront, cashier: Eyes) -> None:
    book = shop.lane.book
    book.change("1", lambda _: Operator("1", Role.SUPERVISOR, book.hashed("2468")))
    cashier.keys("F8")
    cashier.page.get_by_role("button", name="Close the day").press("Enter")
    cashier.page.get_by_label("Operator", exact=True).last.fill("1")
    cashier.page.get_by_label("PIN").fill("2468")
    cashier.keys("Enter")
    expect(cashier.page.locator("#toast")).to_have_text("Done by 1, who is signed out again")
    expect(cashier.page.locator("dialog .totals")).to_be_visible()
    assert cashier.page.evaluate("fetch('/v1/operators').then((said) => said.json())")["signed_in"] is None


def test_a_day_that_could_not_be_closed_is_closed_by_the_same_key_again(shop: Shopfront, cashier: Eyes) -> None:
    cashier.page.route("**/v1/settlements", lambda route: route.abort())
    cashier.keys("F8")
    cashier.page.get_by_role("button", name="Close the day").press("Enter")
    expect(cashier.page.locator("dialog section .fault")).to_contain_text("The agent does not answer")
    cashier.page.unroute("**/v1/settlements")
    cashier.page.get_by_role("button", name="Try again").press("Enter")
    expect(cashier.page.locator("dialog .totals")).to_be_visible()


def test_a_slip_of_another_lane_is_refunded_here_or_the_words_say_where(shop: Shopfront, cashier: Eyes) -> None:
    shop.scan(slip_code("lane-02", "7c0e4f7e-6d0f-4a86-9c1d-0f6f5f6d2a10"))
    expect(cashier.page.locator("dialog")).to_contain_text("Sold at lane-02, sale 7c0e4f7e")
    cashier.page.locator("#slip-amount").fill("5")
    cashier.keys("Enter")
    expect(cashier.page.locator("dialog .fault")).to_contain_text("refund at the lane that sold")


def test_a_refund_that_was_not_answered_is_the_same_refund_when_its_slip_is_scanned_again(
    shop: Shopfront, cashier: Eyes
) -> None:
    code, asked = slip_code("lane-02", "7c0e4f7e-6d0f-4a86-9c1d-0f6f5f6d2a10"), []

    def lost(route: Route) -> None:
        asked.append(route.request.post_data_json)
        route.abort()

    cashier.page.route("**/v1/refunds", lost)
    shop.scan(code)
    cashier.page.locator("#slip-amount").fill("5")
    cashier.keys("Enter")
    expect(cashier.page.locator("dialog .fault")).to_contain_text("The agent does not answer")
    cashier.keys("Escape")
    cashier.reload()
    shop.scan(code)
    expect(cashier.page.locator("dialog .confirm")).to_contain_text("5.00")
    cashier.page.locator("dialog .confirm button").press("Enter")
    expect(cashier.page.locator("dialog .fault")).to_contain_text("The agent does not answer")
    assert len(asked) == 2 and asked[0] == asked[1]
