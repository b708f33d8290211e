"""What is plugged in, as the kernel tells it in /sys. Rule: nothing is opened, so that looking disturbs no device.

A node is named by the path that stays the same wherever the device is plugged in, if the system has one; the USB ids
and the serial number tell the rest. Under `root` there is another machine's /sys and /dev, as in tests.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from drivers.scanners.hid_descriptor import is_scanner

NodeKind = Literal["hidpos", "serial", "keyboard", "camera", "printer"]

SCHEME: Final[dict[NodeKind, str]] = {
    "hidpos": "hidraw", "serial": "serial", "keyboard": "evdev", "camera": "camera", "printer": "file"
}  # fmt: skip
_ABOVE_MAX = 12
"""Steps from a node up to its USB device: hubs are above it, not below."""
_KEY_1, _KEY_ENTER = 2, 28
_BUS_USB, _BUS_BLUETOOTH = 0x03, 0x05


@dataclass(frozen=True, slots=True)
class Node:
    """One way into one device. `vendor_id` and `product_id` are four hex digits, "" where it is not on USB."""

    kind: NodeKind
    path: str
    name: str
    vendor_id: str = ""
    product_id: str = ""
    serial: str = ""

    @property
    def address(self) -> str:
        """What the configuration calls it: by its ids where the path may be another one after a restart."""
        if self.kind in ("hidpos", "printer") and self.vendor_id:
            return ":".join(filter(None, ("usb", self.vendor_id, self.product_id, self.serial)))
        return f"{SCHEME[self.kind]}:{self.path}"

    @property
    def model_id(self) -> str:
        """`vendor:product`."""
        return f"{self.vendor_id}:{self.product_id}"


def look(root: Path = Path("/")) -> tuple[Node, ...]:
    """Every device that could be one of ours: the best kind of line first, nodes of one kind by their numbers."""
    return tuple(node for listed in _LISTS for node in listed(root))


def _hidpos(root: Path) -> Iterator[Node]:
    for entry in _entries(root, "hidraw", "hidraw*"):
        descriptor = _bytes(entry / "device/report_descriptor")
        if descriptor and is_scanner(descriptor):
            yield _node("hidpos", root, entry, root / "dev" / entry.name)


def _serial(root: Path) -> Iterator[Node]:
    for entry in (*_entries(root, "tty", "ttyACM*"), *_entries(root, "tty", "ttyUSB*")):
        yield _node("serial", root, entry, _stable(root, "serial/by-id", entry.name))


def _keyboards(root: Path) -> Iterator[Node]:
    for entry in _entries(root, "input", "event*"):
        keys = _bits(_text(entry / "device/capabilities/key"))
        on_a_bus = _text(entry / "device/id/bustype") in (f"{_BUS_USB:04x}", f"{_BUS_BLUETOOTH:04x}")
        if on_a_bus and keys >> _KEY_1 & 1 and keys >> _KEY_ENTER & 1:
            yield _node("keyboard", root, entry, _stable(root, "input/by-id", entry.name, "input"))


def _cameras(root: Path) -> Iterator[Node]:
    for entry in _entries(root, "video4linux", "video*"):
        if _text(entry / "index") in ("", "0"):
            yield _node("camera", root, entry, _stable(root, "v4l/by-id", entry.name))


def _printers(root: Path) -> Iterator[Node]:
    for entry in _entries(root, "usbmisc", "lp*"):
        yield _node("printer", root, entry, root / "dev/usb" / entry.name)


_LISTS: Final = (_hidpos, _serial, _keyboards, _cameras, _printers)


def _entries(root: Path, subsystem: str, pattern: str) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted((root / "sys/class" / subsystem).glob(pattern), key=_by_number)
    return []


def _by_number(path: Path) -> tuple[str, int]:
    digits = re.search(r"\d+$", path.name)
    return path.name[: digits.start()] if digits else path.name, int(digits.group()) if digits else 0


def _node(kind: NodeKind, root: Path, entry: Path, path: Path) -> Node:
    device = next((above for above in _above(entry / "device") if (above / "idVendor").exists()), None)
    if device is not None:
        vendor_id, product_id = _text(device / "idVendor"), _text(device / "idProduct")
        name = " ".join(filter(None, (_text(device / "manufacturer"), _text(device / "product"))))
        serial = _text(device / "serial")
    else:  # Bluetooth, or a port of the mainboard
        vendor_id, product_id = _text(entry / "device/id/vendor"), _text(entry / "device/id/product")
        name, serial = "", _text(entry / "device/uniq")
    name = name or _text(entry / "device/name") or _text(entry / "name") or entry.name
    shown = "/" + str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    return Node(kind, shown, name, vendor_id, product_id, serial)


def _above(path: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        here = path.resolve()
        yield here
        yield from list(here.parents)[:_ABOVE_MAX]


def _stable(root: Path, folder: str, name: str, below: str = "") -> Path:
    node = root / "dev" / below / name
    with contextlib.suppress(OSError):
        for link in sorted((root / "dev" / folder).iterdir()):
            if link.readlink().name == name:
                return link
    return node


def _text(path: Path) -> str:
    return _bytes(path).decode("utf-8", "replace").strip()


def _bytes(path: Path) -> bytes:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def _bits(words: str) -> int:
    """The kernel prints a bit map as hex words of a machine's long, the highest first."""
    number = 0
    for word in words.split():
        number = number << 64 | int(word, 16)
    return number
