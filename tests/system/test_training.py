"""A trainee's first day, alone: the whole counter on play money, by touch, in a real browser."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: make setup")

from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import Error as PlaywrightError

from agent.demo.props import command, wait_for
from drivers.document import TRAINING_BANNER
from tests.page.shopfront import CHROMIUM, SMALL, chromium, free_port

pytestmark = [pytest.mark.system, pytest.mark.proof]

WAIT_S = 60.0


class Counter:
    """A training counter that runs; ``said`` is what it printed when it was ready."""

    def __init__(self, keep: Path) -> None:
        port = str(free_port())
        line = command("counterfoil", "training", "--json", "--language", "en", "--keep", str(keep), "--port", port)
        self._process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        text = ""
        while line_said := self._process.stdout.readline():  # it goes on running: there is no end of file
            text += line_said
            if line_said == "}\n":
                break
        assert text, self._process.communicate(timeout=WAIT_S)
        self.said: dict[str, Any] = json.loads(text)
        assert "error" not in self.said, self.said
        self.slips = keep / "slips"

    def printed(self) -> list[str]:
        """A file that has only just been made is empty still."""
        texts = [path.read_text(encoding="utf-8") for path in sorted(self.slips.glob("*.txt"))]
        return [text for text in texts if text]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """As Ctrl+C does; it ends well, and whatever it started with it."""
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(WAIT_S) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: make services")
    with chromium() as started:
        yield started


class Trainee:
    """Touches the cashier's page, and looks at the customer's display."""

    def __init__(self, browser: Browser, counter: Counter) -> None:
        context = browser.new_context(viewport=SMALL, has_touch=True)
        context.add_init_script("localStorage.setItem('counterfoil.language', 'en')")
        self.page, self.display = context.new_page(), context.new_page()
        self.page.goto(counter.said["cashier"])
        self.display.goto(counter.said["customer"])
        self.page.bring_to_front()
        self.sees("ready")

    def touch(self, words: str) -> None:
        self.page.locator("#tray").get_by_role("button", name=words, exact=True).tap()

    def charges(self, digits: str) -> None:
        self.sees("ready")
        for digit in digits:
            self.page.locator(f'.digit[data-key="{digit}"]').tap()
        self.page.locator('.main[data-key="Enter"]').tap()
        self.sees("waiting")

    def sees(self, state: str, words: str = "") -> None:
        for page in (self.page, self.display):
            expect(page.locator(f'.panel[data-state="{state}"]')).to_be_visible(timeout=WAIT_S * 1000)
            self._is_marked(page)
        expect(self.page.locator(".panel")).to_contain_text(words)

    def pays(self, digits: str, state: str) -> None:
        """A sale without instalments."""
        self.charges(digits)
        self.touch("Customer pays")
        self.sees("choosing")
        self.page.locator('.main[data-key="Enter"]').tap()
        self.sees(state)
        self.goes_on()

    def goes_on(self) -> None:
        """To the next sale. A tap right behind another one presses nothing: it may be meant for what was there."""
        ready, following = self.page.locator('.panel[data-state="ready"]'), self.page.locator(".actions .main")

        def is_ready() -> bool:
            self.page.wait_for_timeout(600)
            if following.count():
                with suppress(PlaywrightError):  # it may go on by itself just now: then there is nothing to press
                    following.tap(timeout=5_000)
            return ready.count() > 0

        wait_for("the next sale can begin", is_ready, WAIT_S)

    def gives_up(self) -> None:
        self.page.locator('.danger[data-key="Esc"]').tap()
        self.sees("ready")

    @staticmethod
    def _is_marked(page: Page) -> None:
        expect(page.locator("#training")).to_contain_text("TRAINING")
        mark = "getComputedStyle(document.querySelector('.panel'), '::after').content"
        assert page.locator('.panel[data-state="choosing"]').count() or "TRAINING" in page.evaluate(mark)


def test_a_day_of_training_by_touch(browser: Browser, tmp_path: Path) -> None:
    with Counter(tmp_path) as counter:
        trainee = Trainee(browser, counter)
        trainee.pays("28.5", "approved")
        trainee.charges("50")
        for what, words in {
            "Old code": "too old",
            "Torn code": "damaged",
            "Real code": "This is a training counter: nothing was charged",
        }.items():
            trainee.touch(what)
            trainee.sees("declined", words)
        trainee.gives_up()
        trainee.touch("Cut the line")
        trainee.pays("66", "approved_offline")
        trainee.touch("Line back")
        expect(trainee.page.locator(".chips")).to_contain_text("Online", timeout=WAIT_S * 1000)
        trainee.touch("Paper runs out")
        trainee.pays("33", "approved")
        trainee.touch("New paper")
        slips = wait_for("every sale has its slip", lambda: len(counter.printed()) >= 3 and counter.printed(), WAIT_S)
        assert all(slip.count(TRAINING_BANNER) == 2 for slip in slips)
        trainee.page.keyboard.press("F8")
        dialog = trainee.page.locator("dialog")
        expect(dialog).to_be_visible()
        assert "TRAINING" in trainee.page.evaluate(
            "getComputedStyle(document.querySelector('dialog'), '::before').content"
        )


def test_what_was_kept_goes_on_as_training_and_never_as_a_real_lane(tmp_path: Path) -> None:
    kept, config = tmp_path, str(tmp_path / "agent.toml")
    with Counter(kept):
        pass
    before = (kept / "lane" / "ledger.db").stat().st_size
    refused = subprocess.run(
        command("counterfoil", "run", "--config", config), capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "is one for training" in refused.stderr and "Traceback" not in refused.stderr
    with Counter(kept):
        told = subprocess.run(
            command("counterfoil", "status", "--json", "--config", config), capture_output=True, text=True, check=False
        )
        status = json.loads(told.stdout)
        assert status["training"] is True
        assert (status["journal"]["epoch"], before > 0) == (1, True)
