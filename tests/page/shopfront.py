"""A shop's counter for a browser: a real lane behind loopback HTTP in a thread, and Debian's Chromium looking at it."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from agent.demo.props import free_port
from agent.local.access import Caller, cookie_of
from agent.local.client import LocalClient
from agent.overview import lane_looks
from agent.services.watch import Watch
from tests.local.served import SECRET, ServedLane
from tests.services.lanes import CUSTOMER, STRANGER, Till, approved, declined

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-component-update"]
QUIET += ["--disable-background-networking"]
SMALL, LARGE = {"width": 1024, "height": 600}, {"width": 1920, "height": 1080}
START_S = 60.0
expect.set_options(timeout=60_000)


class Shopfront:
    """One lane with plenty of credit. Whatever is done to it, is done in the lane's own loop, as devices do it."""

    def __init__(self, directory: Path, **served: Any) -> None:
        self.directory, self.port, self.served = directory, free_port(), served
        self.till: Till
        self.address = f"http://127.0.0.1:{self.port}"
        self._make = lambda: Till(directory, grants={CUSTOMER: 5_000_000, STRANGER: 5_000_000})

    def start(self) -> None:
        """Raises AssertionError when the lane is not there in time."""
        self._end, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(START_S)

    def stop(self) -> None:
        self._end.set()
        self._thread.join(START_S)

    def _run(self) -> None:
        till = getattr(self, "till", None)
        if till is None:
            self.till = self._make()
        else:
            till.restart()
        self.lane = ServedLane(self.till)
        self.lane.port = self.port
        asyncio.run(self.lane.serve(self._serve, **self.served))

    def _serve(self, _client: LocalClient) -> None:
        lane = self.till.lane
        asyncio.run_coroutine_threadsafe(lane.start(), self.lane.loop)
        watch = asyncio.run_coroutine_threadsafe(Watch(lane.events, lane_looks(lane)).run(), self.lane.loop)
        self._ready.set()
        self._end.wait()
        watch.cancel()

    def do(self, deed: Callable[[], Any]) -> Any:
        """In the lane's loop."""

        async def done() -> Any:
            return deed()

        return asyncio.run_coroutine_threadsafe(done(), self.lane.loop).result(START_S)

    def wait(self, deed: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """For what the lane does in its own loop."""
        return asyncio.run_coroutine_threadsafe(deed(), self.lane.loop).result(START_S)

    def scan(self, code: str | None = None, **phone: Any) -> None:
        shown = code or self.do(lambda: self.till.phone(**phone).code())
        self.lane.scan(shown)

    def backend(self, answer: Any = approved, after_s: float = 0.0) -> None:
        """The line is up: the backend answers so, after a while. ``None``: the line is down."""

        async def answers(request: Mapping[str, Any]) -> Any:
            await asyncio.sleep(after_s)
            return answer(request) if callable(answer) else answer

        self.till.backend.available = answer is not None
        self.till.backend.answer = answers if answer is not None else None

    @property
    def sales(self) -> list[dict[str, Any]]:
        """All that were recorded, the newest first."""
        return list(self.do(lambda: [self.till.counter.view(h.sale_id) for h in self.till.ledger.recent_sales(99)]))

    @property
    def sale(self) -> dict[str, Any]:
        """The newest."""
        return self.sales[0]


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        yield browser
        browser.close()


class Eyes:
    """A person before a page: sees states and words, presses keys as a hand does."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        opens = Caller.DISPLAY if address.endswith("/customer") else Caller.CASHIER
        name, _, value = cookie_of(opens, SECRET).partition(";")[0].partition("=")  # as a link does: test_links.py
        context.add_cookies([{"name": name, "value": value, "url": address}])
        self.page: Page = context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self.faults.append(said.text) if "Content Security" in said.text else None)
        self.page.goto(address)
        if opens is Caller.CASHIER:
            self._waits_for_keys()

    def reload(self) -> None:
        self.page.reload()
        self._waits_for_keys()

    def _waits_for_keys(self) -> None:
        """As a person does: presses nothing before the page has heard from the agent; its keys are grey until then."""
        self.page.wait_for_selector("#keys button:enabled")

    def sees(self, state: str, words: str | None = None) -> None:
        """This state, and what can be pressed in it: while the page asks the agent its keys are grey."""
        expect(self.page.locator(f'.panel[data-state="{state}"]')).to_be_visible()
        expect(self.page.locator("#stage button:disabled")).to_have_count(0)
        if words is not None:
            expect(self.page.locator("body")).to_contain_text(words)

    def reads_codes(self) -> None:
        """The sale before it waits for a code: the agent knows it, and the page knows that."""
        expect(self.page.get_by_text("Give up", exact=True)).to_be_visible()

    def until(self, holds: Callable[[], bool]) -> None:
        """Look on until this holds; the test's own limit of time ends what never does."""
        while not holds():
            self.page.wait_for_timeout(20)

    def keys(self, *keys: str) -> None:
        """One after the other, each when the page has done what the one before told it."""
        for key in keys:
            for each in key if key.replace(".", "").isdigit() else [key]:
                self.page.wait_for_selector('#stage[aria-busy="false"]')
                self.page.keyboard.press(each)
                time.sleep(0.04)
            if key == "Escape":
                expect(self.page.locator("dialog[open]")).to_have_count(0)


__all__ = ["LARGE", "SMALL", "Eyes", "Shopfront", "approved", "chromium", "declined"]
