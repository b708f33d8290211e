"""What is plugged in: serial ports, cameras and USB printers, each with the address to write into the configuration.

The one rule: a device is named by a path that stays the same wherever it is plugged in, if the system has one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from serial.tools import list_ports

from agent.config import Config

BUILT_IN: Final = "ttyS"
"""Ports of the mainboard: listed by the kernel whether or not anything is connected."""


@dataclass(frozen=True, slots=True)
class Found:
    """A device that the system sees. ``section``: what to paste into agent.toml, "" when it is configured already."""

    kind: Literal["serial", "camera", "usb printer"]
    address: str
    description: str
    section: str


def discover(
    config: Config, *, dev: Path = Path("/dev"), sys_video: Path = Path("/sys/class/video4linux")
) -> list[Found]:
    """Everything that could be a scanner or a printer. Nothing is opened."""
    configured = {config.printer.address, *(scanner.address for scanner in config.scanner.values())}
    taken = {_device(address) for address in configured if address}
    found = [*_serial_ports(dev), *_cameras(dev, sys_video), *_usb_printers(dev)]
    return [
        Found(kind, address, description, "" if _device(address) in taken else section)
        for kind, address, description, section in found
    ]


_Row = tuple[Literal["serial", "camera", "usb printer"], str, str, str]


def _serial_ports(dev: Path) -> Iterator[_Row]:
    stable = {path.resolve(): path for path in sorted((dev / "serial" / "by-id").glob("*"))}
    for port in sorted(list_ports.comports()):
        if port.vid is None and Path(port.device).name.startswith(BUILT_IN):
            continue
        address = f"serial:{stable.get(Path(port.device).resolve(), port.device)}"
        section = f'[scanner.counter]\naddress = "{address}"'
        yield "serial", address, port.description or port.device, section


def _cameras(dev: Path, sys_video: Path) -> Iterator[_Row]:
    stable = {path.resolve(): path for path in sorted((dev / "v4l" / "by-id").glob("*-index0"))}
    for node in sorted(dev.glob("video[0-9]*")):
        name = sys_video / node.name / "name"
        address = f"camera:{stable.get(node.resolve(), node)}"
        description = name.read_text().strip() if name.exists() else node.name
        yield "camera", address, description, f'[scanner.camera]\naddress = "{address}"'


def _usb_printers(dev: Path) -> Iterator[_Row]:
    for node in sorted((dev / "usb").glob("lp[0-9]*")):
        yield "usb printer", f"file:{node}", node.name, f'[printer]\naddress = "file:{node}"\nprofile = "generic-80"'


def _device(address: str) -> Path:
    return Path(address.partition(":")[2]).resolve()
