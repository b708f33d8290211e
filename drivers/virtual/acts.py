"""What can be done to a stand-in that runs inside a device. Rule: a table; a new stand-in is one row.

So a field engineer, a trainer or a test plays a day's mishaps on a lane that has no hardware.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from drivers.device import Closable, Device
from drivers.errors import AddressError
from drivers.virtual.display import VirtualDisplay
from drivers.virtual.printer import VirtualPrinter
from drivers.virtual.scanner import VirtualScanner

Act = Callable[[Any], None]


def _plugged_in(port: VirtualScanner | VirtualDisplay) -> None:
    if not port.is_plugged_in:
        port.replug()


SCAN: Final = "scan"
WELL: Final = "well"
ACTS: Final[Mapping[type[Closable], Mapping[str, Act]]] = {
    VirtualPrinter: {
        "paper-out": VirtualPrinter.paper_out,
        "near-end": VirtualPrinter.paper_near_end,
        "cover": VirtualPrinter.cover_open,
        "cutter": VirtualPrinter.cutter_error,
        "off-line": VirtualPrinter.off_line,
        "mute": VirtualPrinter.mute,
        "drawer-lock": VirtualPrinter.lock_drawer,
        "drawer-close": VirtualPrinter.close_drawer,
        "unplug": VirtualPrinter.unplug,
        WELL: VirtualPrinter.release,
    },
    VirtualScanner: {"unplug": VirtualScanner.unplug, WELL: _plugged_in},
    VirtualDisplay: {"unplug": VirtualDisplay.unplug, WELL: _plugged_in},
}


def act(devices: Iterable[Device], what: str, device: str = "", code: str = "") -> str:
    """Does it to the device of that name, or to the only one that can; without a name all are made well. Returns names.

    Blocks for 2 seconds at most. Raises AddressError when there is none, or more than one; TimeoutError when nobody
    reads what is scanned.
    """
    able = {one.name: stand_in for one in devices if (stand_in := _stand_in(one)) and _can(stand_in, what)}
    chosen = {name: stand_in for name, stand_in in able.items() if device in ("", name)}
    if not chosen:
        raise AddressError(f'no virtual device {device or "of this lane"} knows "{what}"')
    if len(chosen) > 1 and what != WELL:
        raise AddressError(f"which of them? Name one: {', '.join(chosen)}")
    for stand_in in chosen.values():
        if isinstance(stand_in, VirtualScanner) and what == SCAN:
            stand_in.scan(code.encode())
        else:
            ACTS[type(stand_in)][what](stand_in)
    return ", ".join(chosen)


def _stand_in(device: Device) -> Closable | None:
    stand_in: Closable | None = getattr(device, "stand_in", None)  # a device that is unusable has none
    return stand_in


def _can(stand_in: Closable, what: str) -> bool:
    return what in ACTS.get(type(stand_in), {}) or (isinstance(stand_in, VirtualScanner) and what == SCAN)
