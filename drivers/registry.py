"""From an address in the configuration to a working device. Rule: a table of kinds; a new kind is one row here.

usb:VID:PID[:SERIAL] printers on USB: /dev/usb/lp* of these ids, else libusb
tcp:HOST:PORT        printers on the network             file:PATH    /dev/usb/lp0, or a file that keeps the bytes
serial:PATH          printers, displays on a port        virtual:PATH a stand-in: a directory of slips, a display's port
The lines to a scanner are in `drivers.scanners.lines`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from drivers.beepers.beeper import Beeper, Sound
from drivers.device import Closable, Device, OnEvent
from drivers.displays.line_display import LineDisplay
from drivers.displays.screen import Screen
from drivers.drawers.cash_drawer import CashDrawer, Kick
from drivers.errors import AddressError, OptionError
from drivers.options import Options, none_left, parse_address, settings
from drivers.printers import raster
from drivers.printers.characters import CODECS
from drivers.printers.conversation import Patience
from drivers.printers.pos_printer import POSPrinter
from drivers.printers.profiles import CHARACTERS, COLUMNS, Profile, profile_named
from drivers.scanners.lines import line_to
from drivers.scanners.scanner import Scanner
from drivers.transports.file import FileTransport
from drivers.transports.serial_port import SerialSettings, SerialTransport
from drivers.transports.tcp import TcpTransport
from drivers.transports.transport import Transport
from drivers.transports.usb import UsbIds, UsbTransport
from drivers.virtual.display import VirtualDisplay
from drivers.virtual.printer import VirtualPrinter

_Line = tuple[Transport, Closable | None]
_OpenLine = Callable[[str, dict[str, Any]], _Line]


class OpenDevice(Protocol):
    """Makes a device of one kind: opened, claimed and enabled. Raises AddressError, OptionError."""

    def __call__(self, name: str, address: str, options: Options | None = None, *, on_event: OnEvent) -> Device: ...


def open_device(kind: str, name: str, address: str, options: Options | None = None, *, on_event: OnEvent) -> Device:
    """A device of any kind in the table. Raises AddressError (also for a kind that there is not), OptionError."""
    if kind not in KINDS:
        raise AddressError(f"no kind of device {kind!r}; there are {', '.join(KINDS)}")
    return KINDS[kind](name, address, options, on_event=on_event)


def started(device: Device) -> None:
    """Opens, claims and enables it; one that is not there now is `failed` and recovers by itself."""
    device.open()
    device.claim()
    device.enable()


def open_printer(
    name: str, address: str, options: Options | None = None, *, on_event: OnEvent | None = None
) -> POSPrinter:
    """A printer, opened, claimed and enabled; one that is not there now is `failed` and recovers by itself.

    Options: `profile` (a name of `PROFILES`); `columns`, `characters`, where they are not the profile's; `logo`, a
    picture's path or nv:N; the fields of `Patience`, and those of `SerialSettings` for a serial line.
    Raises AddressError, OptionError.
    """
    given = dict(options or {})
    profile = _profile(given)
    letterhead = _letterhead(str(given.pop("logo", "")), profile)
    patience = settings(Patience, given)
    transport, stand_in = _line(
        "printer",
        address,
        given,
        {"tcp": _tcp, "serial": _serial, "file": _file, "usb": _usb, "virtual": partial(_virtual, profile=profile)},
    )
    printer = POSPrinter(
        name, transport, profile, patience=patience, letterhead=letterhead, on_event=on_event, stand_in=stand_in
    )
    started(printer)
    return printer


def open_scanner(
    name: str, address: str, options: Options | None = None, *, on_event: OnEvent, one_at_a_time: bool = False
) -> Scanner:
    """A scanner, opened, claimed and enabled; one that is not there now is `failed` and recovers by itself.

    Options: the fields of `Framing`; of `SerialSettings`, `WedgeSettings` and `CameraSettings` where the line has them.
    `one_at_a_time`: the consumer calls `enable_data` after each DataEvent. Raises AddressError, OptionError.
    """
    given = dict(options or {})
    line = line_to(address, given)
    none_left("scanner", address, given)
    scanner = Scanner(
        name, line.transport, line.new_stream, on_event,
        open_s=line.open_s, stand_in=line.stand_in, one_at_a_time=one_at_a_time,
    )  # fmt: skip
    started(scanner)
    return scanner


def open_drawer(
    name: str, printer: POSPrinter, options: Options | None = None, *, on_event: OnEvent | None = None
) -> CashDrawer:
    """The drawer on that printer's socket, opened, claimed and enabled. Options: the fields of `Kick`.

    It has no address and so no row in `KINDS`: the line is the printer's. Raises OptionError.
    """
    given = dict(options or {})
    drawer = CashDrawer(name, printer, settings(Kick, given), on_event)
    none_left("drawer", printer.name, given)
    started(drawer)
    return drawer


def open_beeper(
    name: str, printer: POSPrinter, options: Options | None = None, *, on_event: OnEvent | None = None
) -> Beeper:
    """The beeper of that printer, opened, claimed and enabled. Options: the fields of `Sound`.

    Like a drawer it has no address and no row in `KINDS`. Raises OptionError.
    """
    given = dict(options or {})
    beeper = Beeper(name, printer, settings(Sound, given), on_event)
    none_left("beeper", printer.name, given)
    started(beeper)
    return beeper


def open_display(
    name: str, address: str, options: Options | None = None, *, on_event: OnEvent | None = None
) -> LineDisplay:
    """A line display, opened, claimed and enabled; one that is not there now is `failed` and recovers by itself.

    Options: the fields of `Screen`, and those of `SerialSettings` for a serial line. Raises AddressError, OptionError.
    """
    given = dict(options or {})
    screen = settings(Screen, given)
    transport, stand_in = _line(
        "display", address, given, {"tcp": _tcp, "serial": _serial, "virtual": _virtual_display}
    )
    display = LineDisplay(name, transport, screen, on_event=on_event, stand_in=stand_in)
    started(display)
    return display


KINDS: dict[str, OpenDevice] = {
    "scanner": open_scanner,
    "printer": open_printer,
    "display": open_display,
}


def _profile(given: dict[str, Any]) -> Profile:
    """The profile, with what this very printer has otherwise. Raises OptionError."""
    profile = profile_named(str(given.pop("profile", "generic-80")))
    columns = given.pop("columns", profile.columns)
    characters = given.pop("characters", profile.characters)
    if columns not in COLUMNS:
        raise OptionError(f"columns must be one of {', '.join(map(str, COLUMNS))}, not {columns!r}")
    if characters not in CHARACTERS:
        raise OptionError(f"characters must be one of {', '.join(CHARACTERS)}, not {characters!r}")
    return replace(profile, columns=columns, characters=characters)


def _letterhead(logo: str, profile: Profile) -> bytes:
    """The logo as commands: FS p n for one that was stored in the printer, else the picture. Raises OptionError."""
    scheme, _, number = logo.partition(":")
    if scheme == "nv" and number.isdecimal() and 1 <= int(number) <= 255:
        return b"\x1cp" + bytes([int(number), 0])
    if logo and profile.pictures != "raster":
        raise OptionError(f"logo: a {profile.name} prints no picture from a file; store one in it and name it nv:N")
    return raster.logo(logo, profile.dots) if logo else b""


def _line(kind: str, text: str, given: dict[str, Any], lines: Mapping[str, _OpenLine]) -> _Line:
    address = parse_address(text)
    if address.scheme not in lines:
        raise AddressError(f"no {kind} at {text!r}: the scheme is one of {', '.join(lines)}")
    line = lines[address.scheme](address.target, given)
    none_left(kind, text, given)
    return line


def _tcp(target: str, _: dict[str, Any]) -> _Line:
    host, colon, port = target.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise AddressError(f"tcp:{target} is not tcp:HOST:PORT")
    return TcpTransport(host.strip("[]"), int(port)), None


def _serial(target: str, given: dict[str, Any]) -> _Line:
    return SerialTransport(target, settings(SerialSettings, given)), None


def _file(target: str, _: dict[str, Any]) -> _Line:
    return FileTransport(target), None


def _usb(target: str, _: dict[str, Any]) -> _Line:
    return UsbTransport(UsbIds.parse(target)), None


def _virtual(target: str, _: dict[str, Any], profile: Profile) -> _Line:
    stand_in = VirtualPrinter(Path(target), columns=profile.columns, encoding=CODECS.get(profile.characters, "gb18030"))
    transport, _none = _tcp(stand_in.address.removeprefix("tcp:"), {})
    return transport, stand_in


def _virtual_display(target: str, _: dict[str, Any]) -> _Line:
    return SerialTransport(target, SerialSettings()), VirtualDisplay(Path(target))
