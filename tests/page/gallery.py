"""Every state of cashier page and customer display as pictures: `make gallery`, ARGS="DIRECTORY --sizes small".

The one rule: what a state looks like is told to the page as the agent would tell it, from the sales of a real lane;
what opens over it, dialogs, is that lane's own. Beside the pictures lies a page that shows them all.
"""

from __future__ import annotations

import argparse
import html
import itertools
import json
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext

from agent.core.operators import Operator, Role
from tests.page.shopfront import LARGE, SMALL, Eyes, Shopfront, approved, chromium, declined
from tests.services.lanes import CUSTOMER, HOUR_S, NOW_S, STRANGER, PaperClock, PaperLender, Till

OPENED_S: Final = NOW_S - 7 * HOUR_S
"""Nine in the morning at the shop."""
DAY: Final = ((0, 12_850), (0, 4_990), (1, 23_800), (2, 60_000), (3, 8_800), (3, 15_600), (4, 99_900), (6, 30_000))
"""Hours after opening, and minor units: a day's sales."""
SIZES: Final = {"small": SMALL, "large": LARGE}
TOLD: Final = """const told = window.fetch;
window.EventSource = class {
  constructor() {
    this.heard = {};
    window.agent = this;
    told("/v1/counter").then((answer) => answer.text()).then((data) => this.heard.reset({ data, lastEventId: "1-0" }));
  }
  addEventListener(kind, listener) { this.heard[kind] = listener; }
  close() {}
};
window.fetch = (path, ...more) => (path === "/v1/counter" ? Promise.reject() : told(path, ...more));"""
"""A page that hears nothing of the agent, after its first word, but what the gallery tells it."""


def decline(reason: str, code: str = "51", **fields: Any) -> dict[str, Any]:
    said = {"state": "declined", "hold": "declined", "reason": reason, "said": reason, "response_code": code}
    return said | {"authorization_code": None, "plan": None, "print_jobs": [], "waiting_for_code": True} | fields


def condition(code: str, severity: str = "warning") -> dict[str, str]:
    return {"code": code, "severity": severity, "detail": "", "action": ""}


ASKING: Final = {
    "state": "asking", "hold": "intended", "authorization_code": None, "response_code": None, "print_jobs": [],
    "acknowledged": False,
}  # fmt: skip
WALLET: Final = {
    "said": "wallet_pending", "lender": "wallet_alipay", "account": None, "plan": None, "may": ["abandonment"],
}  # fmt: skip
BACK: Final = {"minor": 2_850, "currency": "CNY"}
OUTCOMES: Final[Mapping[str, Mapping[str, Any]]] = {
    "asking": ASKING | {"said": "asking"},
    "approved": {},
    "approved, record to be sent": {"acknowledged": False, "printed": False},
    "approved offline": {"mode": "stand_in", "said": "approved_offline", "response_code": "00", "acknowledged": False},
    "declined by the lender": decline("backend_declined", waiting_for_code=False),
    "declined, limit": decline("limit_exceeded"),
    "declined, code too old": decline("pass.proof_stale", "55"),
    "declined, lease": decline("lease_exceeded", "61"),
    "step-up": decline("step_up", "1A"),
    "refer": decline("refer", "01", waiting_for_code=False),
    "unknown": decline("ledger_unknown_outcome", "96", state="unknown", waiting_for_code=False),
    "wallet pending": ASKING | WALLET,
    "held": {"hold": "authorized", "plan": None},
    "captured": {"said": "captured", "plan": None, "captured": {"minor": 12_850, "currency": "CNY"}},
    "captured in part": {"said": "captured_in_part", "hold": "partly_captured", "plan": None},
    "reversed": {"state": "reversed", "said": "reversed", "hold": "reversed"},
    "voided": {"state": "voided", "said": "voided", "hold": "voided"},
    "refunded": {"state": "refunded", "said": "refunded", "hold": "refunded"},
    "refunded in part": {"state": "refunded_in_part", "said": "refunded_in_part", "refunded": BACK},
    "expired": {"state": "expired", "said": "expired", "hold": "expired"},
}  # fmt: skip
"""What a sale says of itself, beside what the approved one of the lane says."""

LANES: Final[Mapping[str, Mapping[str, Any]]] = {
    "offline, queue waits": {"link": {"up": False}, "queue": {"depth": 12}},
    "queue drains": {"link": {"up": True}, "queue": {"depth": 1}},
    "printer": {"conditions": [condition("printer", "error")], "print_jobs_waiting": 2},
    "scanner": {"conditions": [condition("scanner", "error")]},
    "display": {"conditions": [condition("display")]},
    "many faults": {
        "conditions": [condition("disk_full", "error"), condition("printer", "error"), condition("display")],
        "link": {"up": False}, "queue": {"depth": 1_240}, "print_jobs_waiting": 1,
    },
    "records to check": {"conditions": [condition("queue_exceptions"), condition("batch_different", "error")]},
}  # fmt: skip
"""How the lane is while nothing is sold, beside a lane that is well."""


def make_shop(directory: Path) -> Shopfront:
    """A shop that is open since nine."""
    shop = Shopfront(directory)
    clock, lender, grants = PaperClock(wall=OPENED_S), PaperLender(now_s=OPENED_S), {CUSTOMER: 5_000_000, STRANGER: 90}
    shop._make = lambda: Till(directory, clock=clock, lender=lender, grants=grants)
    return shop


def sell(shop: Shopfront, minor: int, **code: Any) -> None:
    body = {"sale_id": str(uuid.uuid4()), "amount": {"minor": minor, "currency": "CNY"}}
    shown = shop.do(lambda: shop.till.phone().code(**code))
    shop.lane.client.post("/v1/sales", body | {"code": shown})
    shop.lane.client.get(f"/v1/sales/{body['sale_id']}?wait_s=5")


def live_through(shop: Shopfront) -> None:
    """A day: most online, some without a line, some declined."""
    for number, (hour, minor) in enumerate(DAY):
        clock = shop.till.clock
        shop.do(partial(clock.pass_time, OPENED_S + hour * HOUR_S + number - clock.wall))
        shop.backend(None if number % 3 == 2 else declined(reason="limit_exceeded") if number == 4 else approved)
        sell(shop, minor, age_s=600 if number == 5 else 0)
    shop.backend(approved)


class Gallery:
    """One language at one size: two pages, and where their pictures go."""

    def __init__(self, browser: Browser, shop: Shopfront, out: Path, language: str, size: str) -> None:
        self.browser, self.shop, self.out, self.language, self.size = browser, shop, out, language, size
        self._numbers = itertools.count(1)

    def context(self) -> BrowserContext:
        context = self.browser.new_context(viewport=SIZES[self.size], locale=self.language, timezone_id="Asia/Shanghai")
        context.add_init_script(f"localStorage.setItem('counterfoil.language', '{self.language}')")
        return context

    def keep(self, name: str, **pages: Eyes) -> None:
        number = next(self._numbers)
        for who, eyes in pages.items():
            eyes.page.screenshot(path=self.out / f"{number:02} {name}, {who}, {self.language}, {self.size}.png")

    def states(self) -> None:
        """What can be at the counter, and how the lane can be."""
        context = self.context()
        context.add_init_script(TOLD)
        cashier, customer = Eyes(context, self.shop.address), Eyes(context, f"{self.shop.address}/customer")
        for name, counter in counters(self.shop):
            for eyes in (cashier, customer):
                eyes.page.wait_for_function("Boolean(window.agent?.heard.reset)")
                eyes.page.evaluate("data => agent.heard.reset({data, lastEventId: '1-0'})", json.dumps(counter))
            self.keep(name, cashier=cashier, customer=customer)
        cashier.keys("128.5")
        self.keep("typed", cashier=cashier)
        cashier.keys("00")
        self.keep("typed too much", cashier=cashier)
        for eyes in (cashier, customer):
            eyes.page.evaluate("agent.onerror()")
        self.keep("lost", cashier=cashier, customer=customer)
        context.close()

    def dialogs(self) -> None:
        """What a function key opens, at a lane with a supervisor."""
        book = self.shop.lane.book
        book.change("1", lambda _: Operator("1", Role.SUPERVISOR, book.hashed("2468")))
        context = self.context()
        eyes = Eyes(context, self.shop.address)
        eyes.page.wait_for_selector("#keys button:enabled")
        for name, keys, then in DIALOGS:
            eyes.keys(*keys)
            eyes.page.wait_for_selector("dialog[open]")
            for selector in then:
                eyes.page.locator(f"dialog {selector}").first.click()
            time.sleep(0.3)
            self.keep(name, cashier=eyes)
            eyes.reload()
        context.close()


DIALOGS: Final = (
    ("find", ["F2"], []),
    ("find, one", ["F2"], [".sale"]),
    ("refund", ["F2"], [".sale", ".button.danger"]),
    ("insights", ["F6"], []),
    ("insights, empty day", ["F6"], [".days .button"]),
    ("shift, none", ["F7"], []),
    ("drawer", ["F4"], []),
    ("end of day", ["F8"], []),
    ("PIN", ["F8"], [".button.main"]),
)
"""The key that opens it, and what is clicked then."""


def reached(shop: Shopfront, path: str, state: str) -> dict[str, Any]:
    """The sale as soon as it stands so. Raises AssertionError."""
    for _ in range(300):
        seen = shop.lane.client.get(path)
        if seen["state"] == state:
            return seen
        time.sleep(0.05)
    raise AssertionError(f"{seen['state']} instead of {state}: {seen.get('reason')}")


def counters(shop: Shopfront) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every picture's name, and the counter as the agent would tell of it."""
    ask = shop.lane.client
    well = ask.get("/v1/counter") | {"link": {"up": True}, "queue": {"depth": 0}, "conditions": [], "sale": None}
    well |= {"print_jobs_waiting": 0, "lenders": well["lenders"] | {"wallet_alipay": "Alipay"}}
    yield "ready", well
    body = {"sale_id": str(uuid.uuid4()), "amount": {"minor": 12_850, "currency": "CNY"}, "offers": True}
    waiting, path = ask.post("/v1/sales", body), f"/v1/sales/{body['sale_id']}"
    yield "waiting", well | {"sale": waiting}
    shop.scan()
    choosing = reached(shop, path, "choosing")
    yield "choosing", well | {"sale": choosing}
    offer = choosing["offers"][1]
    yield "statement", well | {"sale": ask.post(f"{path}/preview", {"plan": offer["plan"]})}
    time.sleep(2)
    ask.post(f"{path}/choice", {"plan": offer["plan"], "statement": offer["statement"], "language": "en"})
    bought = reached(shop, path, "approved") | {"printed": True, "acknowledged": True}
    for name, says in OUTCOMES.items():
        yield name, well | {"sale": bought | says}
    for name, how in LANES.items():
        yield name, well | how


PARTS: Final = {"states": Gallery.states, "dialogs": Gallery.dialogs}


def make(out: Path, languages: list[str], sizes: list[str], parts: list[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with chromium() as browser, tempfile.TemporaryDirectory() as directory:
        for language, size in itertools.product(languages, sizes):
            shop = make_shop(Path(directory, f"{language}-{size}"))
            shop.directory.mkdir()
            shop.start()
            try:
                live_through(shop)
                gallery = Gallery(browser, shop, out, language, size)
                for part in parts:
                    PARTS[part](gallery)
            finally:
                shop.stop()
                shop.till.close()
    pictures = "".join(
        f'<figure><img src="{html.escape(each.name)}" width="960"><figcaption>{html.escape(each.stem)}</figcaption>'
        for each in sorted(out.glob("*.png"))
    )
    Path(out, "index.html").write_text(f"<!doctype html><meta charset=utf-8><title>Counterfoil</title>{pictures}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--languages", nargs="+", default=["zh-CN", "en"])
    parser.add_argument("--sizes", nargs="+", default=[*SIZES], choices=SIZES)
    parser.add_argument("--parts", nargs="+", default=[*PARTS], choices=PARTS)
    args = parser.parse_args()
    make(args.out, args.languages, args.sizes, args.parts)


if __name__ == "__main__":
    main()
