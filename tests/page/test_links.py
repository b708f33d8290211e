"""A browser comes to a page by a link, keeps it through reloads, and nothing opens it for somebody else."""

from playwright.sync_api import BrowserContext, expect

from tests.page.shopfront import Shopfront


def link(shop: Shopfront, page: str) -> str:
    return shop.address + str(shop.lane.client.post("/v1/page-links", {"page": page})["path"])


def test_a_link_opens_the_counter_and_a_reload_and_a_restart_keep_it_open(
    shop: Shopfront, context: BrowserContext
) -> None:
    page = context.new_page()
    page.goto(link(shop, "cashier"))
    expect(page).to_have_url(f"{shop.address}/")
    expect(page.locator('.panel[data-state="ready"]')).to_be_visible()
    shop.stop()
    shop.start()
    page.reload()
    expect(page.locator('.panel[data-state="ready"]')).to_be_visible()


def test_without_a_link_a_page_says_how_it_is_opened(shop: Shopfront, context: BrowserContext) -> None:
    page = context.new_page()
    for place in ("/", "/customer"):
        answer = page.goto(shop.address + place)
        assert answer is not None and answer.status == 401
        expect(page.locator("body")).to_contain_text("counterfoil page")


def test_a_display_stays_a_display(shop: Shopfront, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(link(shop, "customer"))
    expect(page.locator('.panel[data-state="ready"]')).to_be_visible()
    answer = page.goto(shop.address)
    assert answer is not None and answer.status == 401
