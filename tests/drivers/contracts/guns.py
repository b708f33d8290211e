"""Ways in which a scanner reaches us, each with somebody at its other end who scans and pulls the plug."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from drivers.registry import open_scanner, started
from drivers.scanners.camera import CameraTransport
from drivers.scanners.framing import Framing
from drivers.scanners.hid_descriptor import scan_reports
from drivers.scanners.hidpos import ReportStream
from drivers.scanners.scanner import CodeStream, Scanner
from drivers.scanners.wedge import WedgeSettings, WedgeStream
from drivers.transports.node import NodeTransport
from drivers.virtual.scanner import VirtualScanner
from tests.drivers.machines import HIDPOS_DESCRIPTOR
from tests.drivers.peers.till import Till
from tests.drivers.scanners.test_hidpos import reports_of
from tests.drivers.scanners.test_serial_line import Cable
from tests.drivers.scanners.typing_scanner import keys_for


class Gun(Protocol):
    """One end is the scanner that a test listens to, the other who holds it."""

    def listen(self, on_event: Callable[[Any], None], *, one_at_a_time: bool = False) -> Scanner: ...
    def scan(self, text: str) -> None: ...
    def unplug(self) -> None: ...
    def replug(self) -> None: ...
    def close(self) -> None: ...


class HalfwayGun(Gun, Protocol):
    """One whose plug can be pulled in the middle of a code."""

    def scan_half(self, text: str) -> None: ...


class _OnPort:
    """A serial scanner by the address that a shop configures."""

    path: Path

    def listen(self, on_event: Callable[[Any], None], *, one_at_a_time: bool = False) -> Scanner:
        return open_scanner("gun", f"serial:{self.path}", on_event=on_event, one_at_a_time=one_at_a_time)


class OurPort(_OnPort, VirtualScanner):
    """The stand-in that is shipped."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "gun")

    def scan(self, text: str) -> None:  # type: ignore[override]
        super().scan(text.encode())

    def scan_half(self, text: str) -> None:
        os.write(self._master, text.encode()[: len(text) // 2])


class NullModem(_OnPort, Cable):
    """A cable that socat makes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "gun")

    def scan(self, text: str) -> None:
        self.send(text.encode() + b"\r")

    def scan_half(self, text: str) -> None:
        self.send(text.encode()[: len(text) // 2])


class EmuposPort(_OnPort):
    """The scanner of a till that others made."""

    def __init__(self, folder: Path) -> None:
        self._till = Till(folder)
        self.path = Path(self._till.gun_port)
        self.scan, self.close = self._till.scan, self._till.close
        self.unplug, self.replug = self._till.switch_off, self._till.switch_on


class _Node:
    """A character device, whose reads a pipe of the kernel plays."""

    def __init__(self, folder: Path) -> None:
        self._path, self._end = folder / "event7", -1
        self.replug()

    def listen(self, on_event: Callable[[Any], None], *, one_at_a_time: bool = False) -> Scanner:
        node = NodeTransport(str(self._path), lambda _: None)
        scanner = Scanner("gun", node, self.stream, on_event, one_at_a_time=one_at_a_time)
        started(scanner)
        return scanner

    def scan(self, text: str) -> None:
        os.write(self._end, self.sent(text))

    def scan_half(self, text: str) -> None:
        os.write(self._end, self.sent(text)[: len(self.sent(text)) // 2])

    def unplug(self) -> None:
        self._path.unlink()
        self.close()

    def replug(self) -> None:
        os.mkfifo(self._path)
        self._end = os.open(self._path, os.O_RDWR)

    def close(self) -> None:
        if self._end >= 0:
            os.close(self._end)
            self._end = -1

    def stream(self) -> CodeStream:
        raise NotImplementedError

    def sent(self, text: str) -> bytes:
        raise NotImplementedError


class Typing(_Node):
    """Input events of a scanner that types."""

    def stream(self) -> CodeStream:
        return WedgeStream(WedgeSettings("de"), Framing())

    def sent(self, text: str) -> bytes:
        return keys_for(text + "\r", "de")


class Reports(_Node):
    """Reports of a scanner in HID-POS mode."""

    def stream(self) -> CodeStream:
        return ReportStream(scan_reports(HIDPOS_DESCRIPTOR), 4096)

    def sent(self, text: str) -> bytes:
        return reports_of(text.encode())


class Lens:
    """Pictures of a phone before a camera; unplugging kills the camera's process too."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._away = folder / "lens", folder / "away"
        self._folder.mkdir()
        self._count = 0

    def listen(self, on_event: Callable[[Any], None], *, one_at_a_time: bool = False) -> Scanner:
        address, options = f"camera:{self._folder}/%03d.png", {"cpu_percent_max": 90}
        self._scanner = open_scanner("gun", address, options, on_event=on_event, one_at_a_time=one_at_a_time)
        return self._scanner

    def scan(self, text: str) -> None:
        import cv2

        from tests.drivers.scanners.photographs import Shot, photograph, qr

        drawn = self._folder / "new.png"
        cv2.imwrite(str(drawn), photograph(qr(text), Shot(angle_deg=4 * self._count)))
        drawn.rename(self._folder / f"{self._count:03d}.png")
        self._count += 1

    def unplug(self) -> None:
        transport = self._scanner._transport
        assert isinstance(transport, CameraTransport) and transport.pid is not None
        self._folder.rename(self._away)
        os.kill(transport.pid, signal.SIGKILL)

    def replug(self) -> None:
        self._folder.mkdir()
        self._count = 0

    def close(self) -> None: ...


GUNS: dict[str, Callable[[Path], Gun]] = {
    "our port": OurPort, "socat's cable": NullModem, "emupos's port": EmuposPort,
    "typing": Typing, "reports": Reports, "camera": Lens,
}  # fmt: skip
