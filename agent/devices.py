"""The devices of one lane, as its configuration names them: opened, asked how they are, tried.

The one rule: the same few lines serve the running agent and the commands of whoever stands beside it, so what a command
finds out is true of the agent too. Calls block: use a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from agent.config import Config
from agent.errors import DeviceUnavailable
from agent.ports import PrintResult
from agent.services.slips import local_time
from agent.texts import Language
from drivers.beepers.beeper import Beeper
from drivers.device import DataEvent, Device, DeviceEvent, OnEvent, Scan
from drivers.displays.line_display import LineDisplay
from drivers.document import Barcode, Cut, Document, Feed, Pair, Qr, Rule, Text
from drivers.drawers.cash_drawer import CashDrawer
from drivers.errors import AddressError, DriverError
from drivers.hotplug import Change, Hotplug
from drivers.printers.outcome import PrintOutcome
from drivers.printers.pos_printer import POSPrinter
from drivers.registry import open_beeper, open_display, open_drawer, open_printer, open_scanner
from drivers.remedies import remedy_for
from drivers.scanners.scanner import Scanner
from drivers.unusable import UnusableDevice
from drivers.virtual.acts import act

TEST_JOB: Final = "test"
Kind = Literal["scanner", "printer", "drawer", "beeper", "display"]
PRINTER: Final = "printer"
DRAWER: Final = "drawer"
BEEPER: Final = "beeper"
DISPLAY: Final = "display"


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """How a device is. ``reason`` is an id of ``drivers.remedies``, "" when it can work; ``text`` is for a person.

    ``counts`` are its statistics since start, under their UnifiedPOS names.
    """

    kind: Kind
    name: str
    address: str
    state: str
    reason: str
    text: str
    counts: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form of the local API and of the commands."""
        return asdict(self)


def configured_printer(config: Config) -> POSPrinter | None:
    """The printer, enabled; None if none is configured. Raises DriverError."""
    settings = config.printer
    return open_printer(PRINTER, settings.address, settings.options) if settings.address else None


def configured_drawer(config: Config, printer: POSPrinter | None) -> CashDrawer | None:
    """The drawer on that printer, enabled; None if there is no drawer or no printer. Raises DriverError."""
    return open_drawer(DRAWER, printer, config.drawer.options) if config.drawer.attached and printer else None


def configured_beeper(config: Config, printer: POSPrinter | None) -> Beeper | None:
    """The beeper of that printer, enabled; None if there is no beeper or no printer. Raises DriverError."""
    return open_beeper(BEEPER, printer, config.beeper.options) if config.beeper.attached and printer else None


def configured_display(config: Config) -> LineDisplay | None:
    """The customer's display, enabled; None if none is configured. Raises DriverError."""
    settings = config.display
    return open_display(DISPLAY, settings.address, settings.options) if settings.address else None


@dataclass(frozen=True, slots=True)
class Fixtures:
    """What a lane has at most one of; None where it has none."""

    printer: POSPrinter | None
    drawer: CashDrawer | None
    beeper: Beeper | None
    display: LineDisplay | None

    @classmethod
    def opened(cls, config: Config, *, is_training: bool = False) -> Fixtures:
        """All of them, enabled; whatever the printer of a training counter prints says so. Raises DriverError."""
        printer = configured_printer(config)
        if printer is not None:
            printer.is_training = is_training
        drawer, beeper = configured_drawer(config, printer), configured_beeper(config, printer)
        return cls(printer, drawer, beeper, configured_display(config))

    @property
    def all(self) -> list[Device]:
        """Those that there are."""
        return [device for device in (self.printer, self.drawer, self.beeper, self.display) if device is not None]

    def close(self) -> None:
        """Ends them; drawer and beeper before their printer."""
        for device in reversed(self.all):
            device.close()


def configured_scanner(
    config: Config, name: str, on_event: OnEvent, *, one_at_a_time: bool = False
) -> Scanner | UnusableDevice:
    """One scanner, enabled; one whose section cannot be used is `failed` and says so, and no other suffers."""
    settings = config.scanner[name]
    try:
        return open_scanner(name, settings.address, settings.options, on_event=on_event, one_at_a_time=one_at_a_time)
    except (DriverError, OSError) as error:
        return UnusableDevice(name, str(error))


@contextmanager
def scanners_of(config: Config, taken: Callable[[Scan], None]) -> Iterator[list[Scanner | UnusableDevice]]:
    """All scanners of a lane, for as long as it runs; each scan is taken on the running loop, one by one a scanner.

    A scanner that is plugged in is used at once.
    """
    loop, scanners = asyncio.get_running_loop(), dict[str, Scanner | UnusableDevice]()

    def take(scan: Scan) -> None:
        try:
            taken(scan)
        finally:
            scanners[scan.device].enable_data()

    def on_event(event: DeviceEvent) -> None:
        if isinstance(event, DataEvent):
            loop.call_soon_threadsafe(take, event.scan)

    def plugged(_: Change) -> None:
        for scanner in scanners.values():
            scanner.try_now()

    with ExitStack() as stack:
        for name in config.scanner:
            scanners[name] = configured_scanner(config, name, on_event, one_at_a_time=True)
            stack.callback(scanners[name].close)
        hotplug = Hotplug(plugged)
        stack.callback(hotplug.close)
        yield list(scanners.values())


@contextmanager
def all_devices(config: Config) -> Iterator[list[Device]]:
    """Every configured device, for a look while the agent is stopped. Raises DriverError."""
    with ExitStack() as stack:
        devices: list[Device] = [configured_scanner(config, name, lambda _: None) for name in config.scanner]
        devices += Fixtures.opened(config).all
        for device in devices:
            stack.callback(device.close)
        yield devices


def report(config: Config, device: Device) -> DeviceReport:
    """How a device is now: a printer is asked, a scanner's line is looked at."""
    health = device.check_health("external")
    kind, address = _place(config, device)
    counts = device.statistics.snapshot() | {"hours_powered_count": device.statistics.hours_powered(time.monotonic())}
    return DeviceReport(kind, device.name, address, device.state.name, health.reason, health.text, counts)


def _place(config: Config, device: Device) -> tuple[Kind, str]:
    match device:
        case POSPrinter():
            return "printer", config.printer.address
        case CashDrawer():
            return "drawer", f"{config.printer.address}, pin {config.drawer.pin}"
        case Beeper():
            return "beeper", config.printer.address
        case LineDisplay():
            return "display", config.display.address
    return "scanner", config.scanner[device.name].address


def open_cash_drawer(config: Config, drawer: CashDrawer) -> dict[str, Any]:
    """One try; ``opened`` None: the pulse went out and nothing can tell. With what to do in the lane's language."""
    opening = drawer.open_drawer()
    return {
        "opened": opening.opened,
        "reason": opening.reason or None,
        "action": action(opening.reason, config.lane.language) or None,
    }


def show_test(config: Config, display: LineDisplay) -> dict[str, Any]:
    """Shows a test until the next sale; ``reason`` None: the display took it."""
    reason = display.check_health("interactive").reason
    return {"reason": reason or None, "action": action(reason, config.lane.language) or None}


def act_virtually(devices: list[Device], what: str, device: str, code: str) -> str:
    """Plays with a virtual device; returns its name. Raises DeviceUnavailable."""
    try:
        return act(devices, what, device, code)
    except AddressError as error:
        raise DeviceUnavailable(f"{str(error)[0].upper()}{str(error)[1:]}.") from error
    except (OSError, DriverError) as error:  # TimeoutError is one: nobody reads
        raise DeviceUnavailable(f"That cannot be played now: {error}.") from error


def print_test(config: Config, printer: POSPrinter) -> PrintResult:
    """A test slip on paper, now. It is no sale, so it is neither journaled nor tried again when the roll is empty."""
    document = _test_slip(config, local_time(int(time.time()), config.lane.timezone))
    outcome = printer.print_document(TEST_JOB, document, copy=False)
    return print_result(outcome, config.lane.language)


def print_result(outcome: PrintOutcome, language: Language) -> PrintResult:
    """How a job went, as the services know it, with what to do in the lane's language."""
    return PrintResult(outcome.rung, outcome.reason or None, outcome.remedy_in(language) or None)


def action(reason: str, language: Language) -> str:
    """What a person should do about a device that is so; "" when nothing."""
    return remedy_for(reason, language)


class ThreadedPrinter:
    """A blocking printer as the services see it: one job at a time, in a thread."""

    def __init__(self, printer: POSPrinter, language: Language) -> None:
        self._printer, self._language = printer, language

    async def print_document(self, job_id: int, document: Document, *, copy: bool) -> PrintResult:
        outcome = await asyncio.to_thread(self._printer.print_document, str(job_id), document, copy=copy)
        return print_result(outcome, self._language)


def _test_slip(config: Config, printed_at: str) -> Document:
    """What a slip needs: large type, Chinese, a QR code, a line code, the cutter."""
    return Document(
        (
            Text("TEST 测试", align="center", bold=True, size="double"),
            Text("This is not a sale. 非交易凭证", align="center"),
            Rule(),
            Pair(config.merchant.name, config.merchant.store_name),
            Pair("Printer 打印机", config.printer.profile),
            Pair("Time 时间", printed_at),
            Rule(),
            Qr("COUNTERFOIL TEST"),
            Barcode("COUNTERFOIL"),
            Feed(1),
            Cut(),
        ),
        config.lane.language,
    )
