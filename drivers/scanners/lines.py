"""The lines to a scanner: address scheme → transport and stream. Rule: a row is one way in; all lead to the same Scan.

serial:PATH     a port                                   camera:PATH   /dev/video0, 0, or a recording in its place
hidraw:PATH     HID-POS reports                          virtual:PATH  a stand-in: the path of a pseudo-terminal
evdev:PATH      a keyboard, grabbed                      auto          the first scanner that is plugged in and free
usb:VENDOR:PRODUCT[:SERIAL]                              the device with these ids, by its best line
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from drivers.device import Closable
from drivers.errors import AddressError, TransportError
from drivers.inventory import Node, NodeKind, look
from drivers.models import scanners_among
from drivers.options import parse_address, settings
from drivers.scanners.camera import START_S, CameraSettings, CameraTransport, CodeLines
from drivers.scanners.framing import Framer, Framing
from drivers.scanners.hid_descriptor import scan_reports
from drivers.scanners.hidpos import ReportStream
from drivers.scanners.located import LocatedTransport
from drivers.scanners.scanner import CodeStream
from drivers.scanners.wedge import WedgeSettings, WedgeStream
from drivers.transports.evdev import evdev
from drivers.transports.hidraw import hidraw, report_descriptor
from drivers.transports.serial_port import SerialSettings, SerialTransport
from drivers.transports.transport import Transport
from drivers.virtual.scanner import VirtualScanner

LineKind = Literal["serial", "keyboard", "hidpos", "camera", "located"]
_USB = re.compile(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})(?::(\S+))?")


@dataclass(frozen=True, slots=True)
class Line:
    """What a scanner is read through, what makes codes of it, and how long opening it may take.

    `node` gives, of a line that was opened, the device that is plugged in there, None for one that is on no bus.
    """

    kind: LineKind
    transport: Transport
    new_stream: Callable[[], CodeStream]
    node: Callable[[], Node | None]
    open_s: float = 1.0
    stand_in: Closable | None = None


def line_to(address: str, given: dict[str, Any]) -> Line:
    """Takes the options that this line has out of `given`. Raises AddressError, OptionError."""
    parsed = parse_address(address)
    if parsed.scheme not in LINES:
        raise AddressError(f"no scanner at {address!r}: the scheme is one of {', '.join(LINES)}")
    return LINES[parsed.scheme](parsed.target, given)


def _serial(target: str, given: dict[str, Any]) -> Line:
    framing = settings(Framing, given)
    transport = SerialTransport(target, settings(SerialSettings, given))
    return Line("serial", transport, lambda: Framer(framing), partial(_node_at, target))


def _virtual(target: str, given: dict[str, Any]) -> Line:
    framing = settings(Framing, given)
    transport = SerialTransport(target, SerialSettings())
    return Line("serial", transport, lambda: Framer(framing), _none, stand_in=VirtualScanner(Path(target)))


def _camera(target: str, given: dict[str, Any]) -> Line:
    return Line("camera", CameraTransport(target, settings(CameraSettings, given)), CodeLines, _none, START_S)


def _evdev(target: str, given: dict[str, Any]) -> Line:
    framing, wedge = settings(Framing, given), settings(WedgeSettings, given)
    return Line("keyboard", evdev(target), lambda: WedgeStream(wedge, framing), partial(_node_at, target))


def _hidraw(target: str, given: dict[str, Any]) -> Line:
    code_bytes_max = settings(Framing, given).code_bytes_max  # the device frames its codes itself
    return Line("hidpos", hidraw(target), lambda: _reports_of(target, code_bytes_max), partial(_node_at, target))


def _reports_of(path: str, code_bytes_max: int) -> ReportStream:
    reports = scan_reports(report_descriptor(path))
    if not reports:
        raise TransportError("not_hidpos", path)
    return ReportStream(reports, code_bytes_max)


def _usb(target: str, given: dict[str, Any]) -> Line:
    ids = _USB.fullmatch(target)
    if ids is None:
        raise AddressError(
            f"usb:{target} is not usb:VENDOR:PRODUCT or usb:VENDOR:PRODUCT:SERIAL, such as usb:0c2e:0b61"
        )
    vendor_id, product_id, serial = ids[1].lower(), ids[2].lower(), ids[3]
    return _located(partial(_with_ids, vendor_id, product_id, serial), given)


def _auto(target: str, given: dict[str, Any]) -> Line:
    if target:
        raise AddressError(f"auto:{target} is not auto, which stands alone")
    return _located(lambda: scanners_among(look()), given)


def _with_ids(vendor_id: str, product_id: str, serial: str | None) -> list[Node]:
    return [
        node
        for node in look()
        if (node.vendor_id, node.product_id) == (vendor_id, product_id)
        and serial in (None, node.serial)
        and node.kind in _BY_KIND
    ]


def _located(find: Callable[[], list[Node]], given: dict[str, Any]) -> Line:
    """The node is known only when it is opened, so the options of every kind of line are taken now."""
    taken = {key: given.pop(key) for key in list(given) if key in _OPTIONS}
    for build in _BY_KIND.values():
        build("/dev/null", dict(taken))  # refuses a wrong value at once
    transport = LocatedTransport(find, lambda node: _BY_KIND[node.kind](node.path, dict(taken)))
    return Line("located", transport, transport.new_stream, lambda: transport.node)


def _node_at(path: str) -> Node | None:
    """The plugged-in device whose node that is, under whichever of its names."""
    real = Path(path).resolve()
    return next((node for node in look() if Path(node.path).resolve() == real), None)


def _none() -> None:
    return None


LINES: dict[str, Callable[[str, dict[str, Any]], Line]] = {
    "serial": _serial,
    "hidraw": _hidraw,
    "evdev": _evdev,
    "camera": _camera,
    "usb": _usb,
    "auto": _auto,
    "virtual": _virtual,
}
_BY_KIND: dict[NodeKind, Callable[[str, dict[str, Any]], Line]] = {
    "hidpos": _hidraw,
    "serial": _serial,
    "keyboard": _evdev,
}
_OPTIONS = frozenset(name for kind in (Framing, SerialSettings, WedgeSettings) for name in kind.__dataclass_fields__)
