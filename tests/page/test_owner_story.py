"""What the owner does at the counter's page: looks at what a day came to, by keyboard alone."""

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")

from playwright.sync_api import expect

from tests.page.shopfront import Eyes, Shopfront, approved
from tests.page.test_counter_story import to_approved

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
    assert "day,approved,,1,12850,CNY" in saved.value.path().read_text()


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
