"""Two screens, two cashiers and a POS at one counter: one sale, one deed each, and no screen says what is untrue."""

import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")

from playwright.sync_api import Browser, BrowserContext, Route, expect

from tests.page.shopfront import SMALL, Eyes, Shopfront, approved
from tests.page.test_counter_story import to_approved, to_choosing, to_waiting

pytestmark = pytest.mark.proof

POS_SALE = {"sale_id": "pos-sale-1", "amount": {"minor": 7_700, "currency": "CNY"}}


@pytest.fixture
def other(browser: Browser, shop: Shopfront) -> Iterator[Eyes]:
    """Another cashier's browser, which shares nothing with the first one."""
    context: BrowserContext = browser.new_context(viewport=SMALL)
    context.add_init_script("localStorage.setItem('counterfoil.language', 'en')")
    eyes = Eyes(context, shop.address)
    eyes.sees("ready")
    yield eyes
    assert eyes.faults == []
    context.close()


def test_what_one_gives_up_the_other_does_not_bring_back(shop: Shopfront, cashier: Eyes, other: Eyes) -> None:
    to_waiting(shop, cashier)
    other.sees("waiting", "¥128.50")
    other.keys("Escape")
    other.sees("ready")
    cashier.sees("ready")
    for eyes in (cashier, other):
        eyes.reload()
        eyes.sees("ready")
    shop.scan()
    assert shop.do(lambda: shop.till.counter.shown(0)) is None
    assert shop.sales == []


def held_back(eyes: Eyes, amount: str) -> Route:
    """The request of a charge, which has left the page and arrived nowhere."""
    held: list[Route] = []
    eyes.page.route("**/v1/sales", lambda route: held.append(route))
    eyes.keys(amount, "Enter")
    while not held:
        eyes.page.wait_for_timeout(20)
    return held[0]


def test_two_who_charge_at_once_both_see_the_one_sale_that_a_code_would_pay(
    shop: Shopfront, cashier: Eyes, other: Eyes
) -> None:
    """The answer to the first arrives after the second has taken its place."""
    first, second = held_back(cashier, "5"), held_back(other, "9")
    answers = first.fetch(), second.fetch()
    second.fulfill(response=answers[1])
    other.sees("waiting", "¥9.00")
    cashier.sees("waiting", "¥9.00")
    first.fulfill(response=answers[0])
    cashier.page.wait_for_timeout(300)
    cashier.sees("waiting", "¥9.00")
    shop.backend(approved)
    shop.scan()
    for eyes in (cashier, other):
        eyes.sees("choosing", "¥9.00")
    other.keys("Enter")
    cashier.sees("approved", "¥9.00")
    assert [sale["amount"]["minor"] for sale in shop.sales] == [900]


def test_a_sale_that_the_pos_opens_while_the_last_is_sent_away_stays_on_the_screen(
    shop: Shopfront, cashier: Eyes
) -> None:
    to_approved(shop, cashier)

    def answer_late(route: Route) -> None:
        answer = route.fetch()
        shop.lane.client.post("/v1/sales", POS_SALE)
        route.fulfill(response=answer)

    cashier.page.route("**/dismissal", answer_late)
    cashier.keys("Enter")
    cashier.sees("waiting", "¥77.00")


def test_two_who_take_the_same_choice_at_once_make_one_approval(shop: Shopfront, cashier: Eyes, other: Eyes) -> None:
    shop.backend(approved, after_s=0.5)
    to_choosing(shop, cashier)
    other.sees("choosing")
    for eyes in (cashier, other):
        eyes.keys("Enter")
    for eyes in (cashier, other):
        eyes.sees("approved", "¥128.50")
    assert len(shop.sales) == 1
    assert shop.till.kinds(shop.sale["sale_id"]).count("capture") == 1
    assert len(shop.till.backend.requests) == 1


def test_two_who_refund_the_same_sale_at_once_give_back_what_is_there_and_no_more(
    shop: Shopfront, cashier: Eyes, other: Eyes
) -> None:
    to_approved(shop, cashier)
    other.sees("approved")
    for eyes in (cashier, other):
        eyes.keys("F3")
        eyes.page.get_by_role("button", name="Refund", exact=True).click()
    for eyes in (cashier, other):
        eyes.page.locator(".confirm .main").click()
    expect(cashier.page.locator("dialog .done")).to_have_text("Done")
    expect(other.page.locator("dialog .fault")).to_contain_text("Refunded in full already")
    assert shop.sale["refunded"]["minor"] == 12_850
    cashier.sees("refunded")


def test_a_pos_that_repeats_and_reorders_its_requests_makes_each_sale_once(shop: Shopfront, cashier: Eyes) -> None:
    """Every request three times, at once; then the first sale's once more, after the second is over."""
    shop.backend(approved)

    def sell(number: int, code: str) -> list[str]:
        body = {"sale_id": f"pos-sale-{number}", "amount": {"minor": 1_000 * number, "currency": "CNY"}, "code": code}
        path = f"/v1/sales/{body['sale_id']}?wait_s=5"
        threads = [threading.Thread(target=shop.lane.client.post, args=("/v1/sales", body)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        shop.lane.client.post("/v1/sales", body)
        return [shop.lane.client.get(path)["state"]]

    first, second = (shop.do(lambda: shop.till.phone().code()) for _ in range(2))
    assert sell(1, first) + sell(2, second) == ["approved", "approved"]
    cashier.sees("approved", "¥20.00")
    assert sell(1, first) == ["approved"]
    assert sorted(sale["amount"]["minor"] for sale in shop.sales) == [1_000, 2_000]
    assert len(shop.till.backend.requests) == 2
    cashier.sees("approved")


def test_an_answer_that_is_lost_is_not_an_agent_that_is_lost(shop: Shopfront, cashier: Eyes) -> None:
    lost = []

    def lose(route: Route) -> None:
        lost.append(route)
        route.abort()
        cashier.page.unroute("**/v1/counter")

    cashier.page.route("**/v1/counter", lose)
    with cashier.page.expect_event("requestfailed"):
        shop.do(lambda: shop.till.lane.events.publish("devices", {}))
    cashier.sees("ready")
    assert lost
    cashier.keys("7")
    cashier.sees("ready", "¥7.00")
