"""The power fails at a real lane while its page is open: the browser comes back to the sale exactly where it is."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")

from playwright.sync_api import Browser

from agent.demo.props import wait_for
from agent.demo.stage import Stage, staged
from tests.page.shopfront import SMALL, Eyes
from tests.page.test_counter_story import pay_in_full
from tests.system.test_kills import is_quiet, status

pytestmark = [pytest.mark.system, pytest.mark.proof]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(Path(tmp_path_factory.mktemp("power")) / "lane") as stage:
        yield stage


@pytest.fixture
def cashier(stage: Stage, browser: Browser) -> Iterator[Eyes]:
    """At a page that a link has opened, as at a till."""
    context = browser.new_context(viewport=SMALL)
    context.add_init_script("localStorage.setItem('counterfoil.language', 'en')")
    link = stage.client.post("/v1/page-links", {"page": "cashier"})["path"]
    yield Eyes(context, f"http://127.0.0.1:{stage.http_port}{link}")
    context.close()


def to_waiting(_stage: Stage, cashier: Eyes) -> None:
    cashier.keys("23.5", "Enter")
    cashier.sees("waiting")


def to_choosing(stage: Stage, cashier: Eyes) -> None:
    cashier.keys("123.5", "Enter")
    cashier.reads_codes()
    stage.scanner.scan(stage.phone.code().encode())
    cashier.sees("choosing")


def to_approved(stage: Stage, cashier: Eyes) -> None:
    to_choosing(stage, cashier)
    pay_in_full(cashier)
    cashier.sees("approved", "¥123.50")


def to_offline(stage: Stage, cashier: Eyes) -> None:
    stage.line.cut()
    try:
        wait_for("the line is felt to be down", lambda: not status(stage)["link"]["up"], 120)
        to_choosing(stage, cashier)
        pay_in_full(cashier)
        cashier.sees("approved_offline", "¥123.50")
    finally:
        stage.line.restore()


CHOOSING = '.panel[data-state="choosing"]'
APPROVED = '.panel[data-state^="approved"]'
"""Offline too: the line may still be coming back."""

STORIES = {
    "waiting": (to_waiting, "waiting"),
    "choosing": (to_choosing, "waiting"),  # nothing is decided: the customer shows the code again
    "approved": (to_approved, "approved"),
    "approved offline": (to_offline, "approved_offline"),
}


@pytest.mark.parametrize("story", STORIES)
def test_the_power_fails_and_the_page_comes_back_to_the_sale(stage: Stage, cashier: Eyes, story: str) -> None:
    reach: Callable[[Stage, Eyes], None]
    reach, afterwards = STORIES[story]
    wait_for("the line is up", lambda: status(stage)["link"]["up"], 120)
    before = len(status(stage)["recent_sales"])
    reach(stage, cashier)
    stage.agent.kill()
    cashier.sees("lost", "Do not charge again")
    stage.agent.start()
    cashier.sees(afterwards)
    if afterwards == "waiting":
        stage.scanner.scan(stage.phone.code().encode())
        cashier.page.locator(f"{CHOOSING}, {APPROVED}").wait_for()
        if cashier.page.locator(CHOOSING).count():
            pay_in_full(cashier)
        cashier.page.locator(APPROVED).wait_for()
    wait_for("all is printed and sent", lambda: is_quiet(stage), 120)
    assert len(status(stage)["recent_sales"]) == min(before + 1, 10), "one sale, charged once"
    cashier.keys("Enter")
    cashier.sees("ready")
