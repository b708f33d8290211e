"""From an address in the configuration to a working device. Rule: a table of kind and scheme, no guessing.

tcp:HOST:PORT        printers on the network             file:PATH    /dev/usb/lp0, or a file that keeps the bytes
serial:PATH          scanners and printers on a port     virtual:PATH a stand-in: directory of slips, path of a port
camera:PATH          a scanner: /dev/video0, 0, or a recording (picture, video, dir/%03d.png) that stands in for one
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from drivers.device import Closable, OnEvent
from drivers.errors import AddressError, OptionError
from drivers.printers.conversation import Patience
from drivers.printers.pos_printer import POSPrinter
from drivers.printers.profiles import COLUMNS, profile_named
from drivers.scanners.camera import START_S, CameraSettings, CameraTransport, CodeLines
from drivers.scanners.framing import Framer, Framing
from drivers.scanners.scanner import Scanner
from drivers.transports.file import FileTransport
from drivers.transports.serial_port import SerialSettings, SerialTransport
from drivers.transports.tcp import TcpTransport
from drivers.transports.transport import Transport
from drivers.virtual.printer import VirtualPrinter
from drivers.virtual.scanner import VirtualScanner

Options = Mapping[str, object]
_Line = tuple[Transport, Closable | None]
S = TypeVar("S", SerialSettings, Framing, Patience, CameraSettings)


@dataclass(frozen=True, slots=True)
class Address:
    """`scheme:target`."""

    scheme: str
    target: str


def parse_address(text: str) -> Address:
    """Splits an address. Raises AddressError when it is not `scheme:target`."""
    scheme, colon, target = text.partition(":")
    if not colon or not target:
        raise AddressError(f"{text!r} is not scheme:target, such as tcp:192.0.2.7:9100 or serial:/dev/ttyACM0")
    return Address(scheme, target)


def open_printer(
    name: str, address: str, options: Options | None = None, *, on_event: OnEvent | None = None
) -> POSPrinter:
    """A printer, opened, claimed and enabled; one that is not there now is `failed` and recovers by itself.

    Options: `profile` (a name of `PROFILES`), `columns` where the paper is not the profile's, the fields of `Patience`,
    and those of `SerialSettings` for a serial line.
    Raises AddressError, OptionError.
    """
    given = dict(options or {})
    profile = profile_named(str(given.pop("profile", "generic-80")))
    profile = replace(profile, columns=_columns(given.pop("columns", profile.columns)))
    patience = _settings(Patience, given)
    lines = _PRINTER_LINES | {"virtual": partial(_virtual_printer, columns=profile.columns)}
    transport, stand_in = _line("printer", lines, address, given)
    printer = POSPrinter(name, transport, profile, patience=patience, on_event=on_event, stand_in=stand_in)
    printer.open()
    printer.claim()
    printer.enable()
    return printer


def open_scanner(name: str, address: str, options: Options | None = None, *, on_event: OnEvent) -> Scanner:
    """A scanner, opened, claimed and enabled; one that is not there now is `failed` and recovers by itself.

    Options: the fields of `Framing` and of `SerialSettings`; of `CameraSettings` for a camera.
    Raises AddressError, OptionError.
    """
    given = dict(options or {})
    build = _camera if parse_address(address).scheme == "camera" else _serial_scanner
    scanner = build(name, address, given, on_event)
    scanner.open()
    scanner.claim()
    scanner.enable()
    return scanner


def _serial_scanner(name: str, address: str, given: dict[str, Any], on_event: OnEvent) -> Scanner:
    framing = _settings(Framing, given)
    transport, stand_in = _line("scanner", _SCANNER_LINES, address, given)
    return Scanner(name, transport, lambda: Framer(framing), on_event, stand_in=stand_in)


def _camera(name: str, address: str, given: dict[str, Any], on_event: OnEvent) -> Scanner:
    transport, _none = _line("scanner", _SCANNER_LINES, address, given)
    return Scanner(name, transport, CodeLines, on_event, open_s=START_S)


def _line(
    kind: str, table: Mapping[str, Callable[[str, dict[str, Any]], _Line]], text: str, given: dict[str, Any]
) -> _Line:
    address = parse_address(text)
    if address.scheme not in table:
        raise AddressError(f"no {kind} at {text!r}: the scheme is one of {', '.join(table)}")
    line = table[address.scheme](address.target, given)
    if given:
        raise OptionError(f"a {kind} at {text!r} has no option {', '.join(sorted(given))}")
    return line


def _settings(kind: type[S], given: dict[str, Any]) -> S:
    """Takes what belongs to that group of settings out of the options."""
    mine = {field.name: given.pop(field.name) for field in fields(kind) if field.name in given}
    for field in fields(kind):
        default, value = field.default, mine.get(field.name, field.default)
        number = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not type(default) and not number:
            raise OptionError(f"{field.name} must be {type(default).__name__}, not {value!r}")
    return kind(**mine)


def _columns(value: object) -> int:
    if value not in COLUMNS:
        raise OptionError(f"columns must be one of {', '.join(map(str, COLUMNS))}, not {value!r}")
    return int(str(value))


def _tcp(target: str, _: dict[str, Any]) -> _Line:
    host, colon, port = target.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise AddressError(f"tcp:{target} is not tcp:HOST:PORT")
    return TcpTransport(host.strip("[]"), int(port)), None


def _serial(target: str, given: dict[str, Any]) -> _Line:
    return SerialTransport(target, _settings(SerialSettings, given)), None


def _file(target: str, _: dict[str, Any]) -> _Line:
    return FileTransport(target), None


def _camera_line(target: str, given: dict[str, Any]) -> _Line:
    return CameraTransport(target, _settings(CameraSettings, given)), None


def _virtual_printer(target: str, _: dict[str, Any], columns: int) -> _Line:
    stand_in = VirtualPrinter(Path(target), columns=columns)
    transport, _none = _tcp(stand_in.address.removeprefix("tcp:"), {})
    return transport, stand_in


def _virtual_scanner(target: str, _: dict[str, Any]) -> _Line:
    return SerialTransport(target, SerialSettings()), VirtualScanner(Path(target))


_PRINTER_LINES: dict[str, Callable[[str, dict[str, Any]], _Line]] = {
    "tcp": _tcp,
    "serial": _serial,
    "file": _file,
}
_SCANNER_LINES: dict[str, Callable[[str, dict[str, Any]], _Line]] = {
    "serial": _serial,
    "camera": _camera_line,
    "virtual": _virtual_scanner,
}
