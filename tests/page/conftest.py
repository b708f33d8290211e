"""One browser a file, and a counter with a cashier and a customer for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")

from playwright.sync_api import Browser, BrowserContext

from tests.page.shopfront import CHROMIUM, SMALL, Eyes, Shopfront, chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed behind the last test of a file: as long as it is open, an event loop runs in the tests' thread."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: make services")
    with chromium() as started:
        yield started


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shopfront]:
    shop = Shopfront(tmp_path)
    shop.start()
    yield shop
    shop.stop()
    shop.till.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=SMALL, has_touch=True)
    context.add_init_script(
        "localStorage.getItem('counterfoil.language') || localStorage.setItem('counterfoil.language', 'en')"
    )
    yield context
    context.close()


@pytest.fixture
def cashier(shop: Shopfront, context: BrowserContext) -> Iterator[Eyes]:
    eyes = Eyes(context, shop.address)
    eyes.sees("ready")
    yield eyes
    assert eyes.faults == []


@pytest.fixture
def customer(shop: Shopfront, context: BrowserContext) -> Iterator[Eyes]:
    eyes = Eyes(context, f"{shop.address}/customer")
    eyes.sees("ready")
    yield eyes
    assert eyes.faults == []
