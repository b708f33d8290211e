"""The pages as people with poor sight, a poor machine or bad intentions meet them."""

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from agent.local.services import Shop
from tests.page.shopfront import LARGE, SMALL, Eyes, Shopfront, approved

pytestmark = pytest.mark.proof

AA = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
DIALOGS = {"F6": ".insights .columns", "F7": "#shift-float", "F8": "dialog .main"}
"""What a function key opens, and what is there when it has."""
HOSTILE = "<img src=x onerror=alert(1)><script>window.owned=1</script>"


def violations(eyes: Eyes) -> list[str]:
    found = Axe().run(eyes.page, options=AA).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found]


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["1024x600", "1920x1080"])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_state_is_accessible_at_aa_and_nothing_is_cut_off(
    browser: Browser, shop: Shopfront, size: dict[str, int], language: str
) -> None:
    context = browser.new_context(viewport=size)
    context.add_init_script(f"localStorage.setItem('counterfoil.language', '{language}')")
    cashier, customer = Eyes(context, shop.address), Eyes(context, f"{shop.address}/customer")
    seen: dict[str, list[str]] = {}

    def look(name: str) -> None:
        for who, eyes in (("cashier", cashier), ("customer", customer)):
            cut = eyes.page.evaluate(
                """() => [...document.querySelectorAll('.panel, main, header, footer, .table')]
                     .filter((box) => box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1)
                     .map((box) => `cut: ${box.tagName} ${box.className} ${box.scrollHeight}>${box.clientHeight}`)"""
            )
            seen[f"{name}, {who}"] = violations(eyes) + cut

    shop.backend(approved)
    cashier.sees("ready")
    look("ready")
    cashier.keys("128.5", "Enter")
    cashier.sees("waiting")
    look("waiting")
    shop.scan()
    cashier.sees("choosing")
    cashier.keys("2")
    customer.page.wait_for_selector(".statement")
    look("choosing")
    shop.backend(None)
    cashier.keys("Enter")
    cashier.sees("approved_offline")
    look("approved offline")
    cashier.keys("F3")
    cashier.page.wait_for_selector("dialog[open]")
    look("dialog")
    for key, what in DIALOGS.items():
        cashier.keys("Escape", key)
        cashier.page.wait_for_selector(what)
        look(what)
    shop.stop()
    cashier.sees("lost")
    look("lost")
    assert {name: found for name, found in seen.items() if found} == {}
    context.close()
    shop.start()


def test_hostile_names_are_only_text(browser: Browser, shop: Shopfront) -> None:
    shop.stop()
    shop.served["shop"] = Shop(HOSTILE, HOSTILE, "en")
    shop.start()
    eyes = Eyes(browser.new_context(), shop.address)
    eyes.sees("ready", HOSTILE)
    shop.scan("]C1" + HOSTILE)
    eyes.page.wait_for_selector("#toast:not(:empty)")
    assert eyes.page.evaluate("document.querySelectorAll('img, main script, header script').length") == 0
    assert eyes.page.evaluate("window.owned") is None


def test_a_burst_of_a_thousand_scans_and_a_slow_machine_leave_the_page_usable(shop: Shopfront, cashier: Eyes) -> None:
    cashier.page.context.new_cdp_session(cashier.page).send("Emulation.setCPUThrottlingRate", {"rate": 6})
    for number in range(1_000):
        shop.lane.scan(f"item {number}")
    shop.backend(None)
    cashier.keys("5", "Enter")
    cashier.sees("waiting", "¥5.00")
