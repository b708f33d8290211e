"""From the scanner's line to the cashier's screen: a real agent, a real serial line (a pty), a real browser.

The one rule: a clock runs until the browser has painted what it was told, not until it was told. It starts when the
scanner has the code on its line, before the driver's event: whatever the driver takes is in the figure.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from agent.bench.measure import Figure, percentile
from agent.demo.stage import Stage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM: Final = Path("/usr/bin/chromium")
OPTIONS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
)
SCAN_MAX_MS: Final = 150
PAINT_MAX_MS: Final = 1_000
WAIT_MS: Final = 15_000
AMOUNT: Final = {"minor": 1_200, "currency": "CNY"}
WATCH: Final = """
const watched = (window.watched = { state: null, at: 0 });
const port = new MessageChannel();
const now = () => performance.timeOrigin + performance.now();
port.port1.onmessage = (event) => Object.assign(watched, event.data, { at: now() });
const look = () => {
  const state = document.querySelector('.panel')?.dataset.state ?? null;
  if (state !== watched.state) requestAnimationFrame(() => port.port2.postMessage({ state }));
};
new MutationObserver(look).observe(document, { subtree: true, childList: true });
"""
"""Which state is painted, and since when: the message comes after the frame that shows it (WHATWG HTML, 8.1.7)."""


def pages(stage: Stage, scans: int, loads: int) -> Iterator[Figure]:
    """``scans`` codes, each to the plans that it opens; ``loads`` first visits, each with an empty cache. Nothing where
    the browser or its driver is not installed, with a word on standard error."""
    try:
        with _browser() as browser:
            painted = [_first_paint_ms(browser, stage) for _ in range(loads)]
            taken = _scans_ms(browser, stage, scans)
    except (ImportError, FileNotFoundError) as missing:
        sys.stderr.write(f"page: left out, {missing} (make setup services)\n")
        return
    for name, value in (("scan to screen", median(taken)), ("scan to screen, p99", percentile(taken, 0.99))):
        yield _figure(name, value, SCAN_MAX_MS, "read, judged, sent, drawn and painted at 60 Hz")
    yield _figure("first paint", median(painted), PAINT_MAX_MS, "first contentful paint of a browser without cache")


def _figure(name: str, value: float, max_ms: int, limit: str) -> Figure:
    return Figure(f"page: {name}", value, "ms", value / max_ms, f"{max_ms} ms", "<= 1", limit)


@contextmanager
def _browser() -> Iterator[Browser]:
    """Debian's Chromium. Raises ImportError or FileNotFoundError where it cannot be had."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        raise FileNotFoundError(f"no {CHROMIUM}")
    with sync_playwright() as playwright, contextlib.closing(_launched(playwright)) as browser:
        yield browser


def _launched(playwright: Any) -> Browser:
    browser: Browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*OPTIONS])
    return browser


def _first_paint_ms(browser: Browser, stage: Stage) -> float:
    """From the begin of the navigation to the first text on the screen (W3C Paint Timing)."""
    with _visit(browser, stage) as page:
        painted = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"  # told a little later
        while (found := page.evaluate(painted)) is None:
            page.wait_for_timeout(20)
    return float(found)


@contextmanager
def _visit(browser: Browser, stage: Stage) -> Iterator[Page]:
    """The cashier's page of the stage's agent, opened by a link in a browser that was never there."""
    link = stage.client.post("/v1/page-links", {"page": "cashier"})["path"]
    with contextlib.closing(browser.new_context(viewport={"width": 1024, "height": 600})) as context:
        page = context.new_page()
        page.add_init_script(WATCH)
        page.goto(f"http://127.0.0.1:{stage.http_port}{link}")
        _painted(page, "ready")
        yield page


def _painted(page: Page, state: str) -> float:
    """When the page had painted this state, in ms of its own clock."""
    found: float = page.wait_for_function(
        "(state) => window.watched.state === state && window.watched.at", arg=state, timeout=WAIT_MS, polling=10
    ).json_value()
    return found


def _scans_ms(browser: Browser, stage: Stage, scans: int) -> list[float]:
    phones = cycle(stage.phones)
    with _visit(browser, stage) as page:
        behind_ms = _behind_ms(page)
        return [_scan_ms(page, stage, next(phones).code()) - behind_ms for _ in range(scans)]


def _scan_ms(page: Page, stage: Stage, code: str) -> float:
    """By the page's clock less ours: a sale waits, its customer's code is scanned, the plans are on the screen."""
    sale_id = str(uuid4())
    stage.client.post("/v1/sales", {"sale_id": sale_id, "amount": AMOUNT, "offers": True})
    _painted(page, "waiting")
    began_ms = time.time() * 1_000
    stage.scanner.scan(code.encode())
    taken_ms = _painted(page, "choosing") - began_ms
    stage.client.post(f"/v1/sales/{sale_id}/dismissal")
    _painted(page, "ready")
    return taken_ms


def _behind_ms(page: Page) -> float:
    """The page's clock less ours, of the question that was answered soonest."""
    asked: list[tuple[float, float]] = []
    for _ in range(20):
        before = time.time() * 1_000
        told: float = page.evaluate("performance.timeOrigin + performance.now()")
        after = time.time() * 1_000
        asked.append((after - before, told - (before + after) / 2))
    return min(asked)[1]
