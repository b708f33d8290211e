"""Printers at the other end of our line, each with somebody beside it who takes the roll out and pulls the plug."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from drivers.virtual.printer import VirtualPrinter
from tests.drivers.peers.till import Till

FAULTS: Final = ("paper_out", "cover_open", "offline")
"""Ids of `drivers.remedies`; "near_end" is none of them, because it stops nothing."""


class Paper(Protocol):
    """`address` is what a shop configures; `profile` names the model that it plays."""

    address: str
    profile: str

    def fault(self, name: str) -> None: ...
    def mend(self, name: str) -> None: ...
    def unplug(self) -> None: ...
    def replug(self) -> None: ...
    def close_drawer(self) -> None: ...
    def slips(self, count: int) -> list[str]: ...
    def close(self) -> None: ...


class OurNetwork:
    """The stand-in that is shipped."""

    profile = "epson-tm-t88v-zh"

    def __init__(self, folder: Path) -> None:
        self._printer = VirtualPrinter(folder / "slips")
        self.address = self._printer.address
        self._faults = {
            "near_end": self._printer.paper_near_end, "paper_out": self._printer.paper_out,
            "cover_open": self._printer.cover_open, "offline": self._printer.off_line,
        }  # fmt: skip
        self.close_drawer, self.close = self._printer.close_drawer, self._printer.close

    def fault(self, name: str) -> None:
        self._faults[name]()

    def mend(self, name: str) -> None:
        self._printer.release()

    def unplug(self) -> None:
        self._printer.unplug()

    def replug(self) -> None:
        self._printer.release()

    def slips(self, count: int) -> list[str]:
        assert self._printer.wait_for_slips(count, 15.0)
        return [slip.text for slip in self._printer.slips]


class OurPort(OurNetwork):
    """The same on a serial line, which socat lays to it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._to, self._port = self.address.replace("tcp:", "TCP:"), folder / "ttyUSB0"
        self.address = f"serial:{self._port}"
        self._end_printer, self.close = self.close, self._close
        self._plug_in()

    def unplug(self) -> None:
        self._pull()
        super().unplug()

    def replug(self) -> None:
        super().replug()
        self._plug_in()

    def _plug_in(self) -> None:
        self._socat = subprocess.Popen(["socat", f"pty,raw,echo=0,link={self._port}", self._to])
        while not self._port.exists():
            assert self._socat.poll() is None, "socat ended"
            time.sleep(0.005)
        self._held = os.open(self._port, os.O_RDWR | os.O_NOCTTY)  # the line stays when a job lets go of it

    def _pull(self) -> None:
        self._socat.kill()
        self._socat.wait()
        self._port.unlink(missing_ok=True)
        os.close(self._held)

    def _close(self) -> None:
        if self._port.exists():
            self._pull()
        self._end_printer()


class _Emupos:
    """A printer of a till that others made: it plays a model for Europe."""

    profile = "epson-tm-t20ii"
    line: str
    _faults: Final = {"near_end": "paper-near-end", "paper_out": "paper-out", "cover_open": "cover-open"}

    def __init__(self, folder: Path) -> None:
        self._till = Till(folder)
        self.address = self._till.printers[self.line]
        self.unplug, self.replug, self.close = self._till.switch_off, self._till.switch_on, self._till.switch_off

    def fault(self, name: str) -> None:
        self._till.set_fault(self.line, self._faults.get(name, name))

    def mend(self, name: str) -> None:
        self._till.clear_fault(self.line, self._faults.get(name, name))

    def close_drawer(self) -> None:
        self._till.close_drawer(self.line)

    def slips(self, count: int) -> list[str]:
        return [text for text, _ in self._till.slips(self.line, count)]


class EmuposNetwork(_Emupos):
    """On port 9100."""

    line = "tcp"


class EmuposPort(_Emupos):
    """On a serial port."""

    line = "serial"


PAPERS: dict[str, Callable[[Path], Paper]] = {
    "our network": OurNetwork, "our port": OurPort, "emupos's network": EmuposNetwork, "emupos's port": EmuposPort,
}  # fmt: skip
