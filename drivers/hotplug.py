"""The moment something is plugged in or out. Rule: whoever listens is told what has changed, never what might have.

udev says when to look, where there is a udev; elsewhere the folders are looked at every two seconds. Either way it is
the inventory of before and after that tells, so that both give the same answer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from drivers.inventory import Node, look

LOG: Final = logging.getLogger(__name__)
_SUBSYSTEMS: Final = ("tty", "input", "hidraw", "video4linux", "usbmisc")
_UDEV: Final = Path("/run/udev/control")
_POLL_S: Final = 2.0
_SETTLE_S: Final = 0.2
"""One plug is a dozen events, and the node's group is set by a rule that runs with them."""
_STOP_LOOK_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Change:
    """What came and what went."""

    added: tuple[Node, ...]
    removed: tuple[Node, ...]


class Hotplug:
    """Calls `on_change` on a thread of its own until `close`; what it raises is logged and ends nothing."""

    def __init__(
        self,
        on_change: Callable[[Change], None],
        *,
        inventory: Callable[[], tuple[Node, ...]] = look,
        poll_s: float = _POLL_S,
        use_udev: bool | None = None,
    ) -> None:
        """`use_udev`: None asks whether its daemon runs; without that its channel exists and is silent for ever."""
        self._on_change, self._inventory, self._poll_s = on_change, inventory, poll_s
        self._stopping = threading.Event()
        asks_udev = _UDEV.exists() if use_udev is None else use_udev
        self._monitor = _udev_monitor() if asks_udev else None
        self._before = inventory()
        self._thread = threading.Thread(target=self._run, name="hotplug", daemon=True)
        self._thread.start()

    @property
    def is_told_by_udev(self) -> bool:
        """Whether udev says when to look; else the folders are looked at."""
        return self._monitor is not None

    def close(self) -> None:
        """Ends the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._monitor is None:
                self._stopping.wait(self._poll_s)
            elif self._monitor.poll(_STOP_LOOK_S) is None:
                continue
            else:
                while not self._stopping.is_set() and self._monitor.poll(_SETTLE_S) is not None:
                    pass
            if not self._stopping.is_set():
                self._look()

    def _look(self) -> None:
        try:
            after = self._inventory()
            before, self._before = set(self._before), after
            added = tuple(node for node in after if node not in before)
            removed = tuple(before.difference(after))
            if added or removed:
                self._on_change(Change(added, removed))
        except Exception:
            LOG.exception("a change of the plugged-in devices could not be told")


def _udev_monitor() -> Any:
    """udev's own channel, after its rules have run; None where there is no udev or no library for it."""
    try:
        import pyudev

        monitor = pyudev.Monitor.from_netlink(pyudev.Context())
        for subsystem in _SUBSYSTEMS:
            monitor.filter_by(subsystem)
        monitor.start()
    except (ImportError, OSError) as error:
        LOG.info("no word from udev, so the folders of devices are looked at", extra={"reason": str(error)})
        return None
    return monitor
