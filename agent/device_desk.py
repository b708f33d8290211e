"""The devices of the running agent: what callers may ask of them, and what they do by themselves.

The one rule: a device blocks in a thread, never on the loop that sells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from agent import devices
from agent.config import Config
from agent.config_devices import Beeper as BeeperSettings
from agent.lane import Lane
from agent.ports import PrintResult
from agent.services.beeps import Beeps
from agent.services.customer_display import screens
from agent.texts import Language
from drivers.beepers.beeper import Beeper
from drivers.device import Device
from drivers.displays.line_display import LineDisplay
from drivers.printers.pos_printer import POSPrinter

PRINTER_LOOK_S: Final = 30.0
"""Between two looks at a printer that has nothing to print: a network printer may serve other tills too."""

DISPLAY_LOOK_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class DeviceDesk:
    """What the local API may ask of devices; None: the lane has no such device."""

    config: Config
    scanners: Sequence[Device]
    fixtures: devices.Fixtures

    @property
    def all(self) -> list[Device]:
        return [*self.scanners, *self.fixtures.all]

    async def check(self) -> list[dict[str, Any]]:
        """How each of them is now."""
        found = [await asyncio.to_thread(devices.report, self.config, device) for device in self.all]
        return [report.to_dict() for report in found]

    async def print_test(self) -> PrintResult | None:
        printer = self.fixtures.printer
        return await asyncio.to_thread(devices.print_test, self.config, printer) if printer else None

    async def open_drawer(self) -> dict[str, Any] | None:
        drawer = self.fixtures.drawer
        return await asyncio.to_thread(devices.open_cash_drawer, self.config, drawer) if drawer else None

    async def test_display(self) -> dict[str, Any] | None:
        display = self.fixtures.display
        return await asyncio.to_thread(devices.show_test, self.config, display) if display else None

    async def act_virtually(self, what: str, device: str, code: str) -> str:
        """Raises DeviceUnavailable."""
        return await asyncio.to_thread(devices.act_virtually, self.all, what, device, code)


def at_work(config: Config, lane: Lane, fixtures: devices.Fixtures) -> Iterator[Callable[[], Awaitable[None]]]:
    """What each fixture does as long as the lane runs."""
    if fixtures.printer is not None:
        yield partial(_looked_after, lane, fixtures.printer, config.lane.language)
    if fixtures.display is not None:
        yield partial(_displayed, lane, fixtures.display, config.lane.language)
    if fixtures.beeper is not None:
        yield partial(_beeped, lane, fixtures.beeper, config.beeper)


async def _looked_after(lane: Lane, printer: POSPrinter, language: Language) -> None:
    """A printer that is out of paper or gone is told of before a slip waits for it."""
    while True:
        if not lane.ledger.next_print_job():
            health = await asyncio.to_thread(printer.check_health, "external")
            lane.spooler.looked(health.reason, devices.action(health.reason, language))
        await asyncio.sleep(PRINTER_LOOK_S)


async def _displayed(lane: Lane, display: LineDisplay, language: Language) -> None:
    """Follows the sales; a display that was gone is tried again, and shows what it would have shown."""
    shown = partial(screens, language=language, is_training=lane.settings.is_training)
    sales = lane.events.subscribe()
    try:
        if lane.settings.is_training:
            await asyncio.to_thread(display.show, *shown({"state": ""}))
        while True:
            try:
                async with asyncio.timeout(DISPLAY_LOOK_S):
                    event = await sales.get()
            except TimeoutError:
                if display.state.reason:
                    await asyncio.to_thread(display.check_health)
                continue
            if event is None:
                return
            if event["type"] == "sale":
                await asyncio.to_thread(display.show, *shown(event["data"]))
    finally:
        lane.events.unsubscribe(sales)


async def _beeped(lane: Lane, beeper: Beeper, wanted: BeeperSettings) -> None:
    """Follows the sales. A sound that cannot be made now is not made later."""
    beeps = Beeps(on_decline=wanted.on_decline, on_attention=wanted.on_attention)
    sales = lane.events.subscribe()
    try:
        while (event := await sales.get()) is not None:
            signal = beeps.heard(event["data"]) if event["type"] == "sale" else None
            if signal is not None:
                await asyncio.to_thread(beeper.sound, signal)
    finally:
        lane.events.unsubscribe(sales)
