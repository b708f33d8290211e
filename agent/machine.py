"""This computer: its clocks, its signals, its init system. What the composition root hands to the lane.

The one rule: nothing here knows of a sale.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import pwd
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SERVICE_USER: Final = "counterfoil"
"""Who runs the services (packaging/sysusers.d)."""


class MachineClock:
    """The clocks of this computer. CLOCK_BOOTTIME goes on while it sleeps."""

    def wall_s(self) -> int:
        return int(time.time())

    def monotonic_s(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def machine_digest() -> bytes:
    """Names this computer without telling its id (machine-id(5): the id itself is not for other eyes)."""
    try:
        found = Path("/etc/machine-id").read_bytes().strip()
    except OSError:
        found = socket.gethostname().encode()
    return hashlib.sha256(b"counterfoil/" + found).digest()


def stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop


def notify(state: str) -> None:
    """Tell systemd (sdnotify(3)); nothing without it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to, contextlib.suppress(OSError):
        to.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)


@contextlib.contextmanager
def as_owner_of(directory: Path) -> Iterator[None]:
    """Within, root acts as the owner of a directory, so that what it makes there can be read by its owner's services.

    A missing directory is made first, for the service's user where there is one. Raises OSError.
    """
    if not directory.exists():
        directory.mkdir(mode=0o700, parents=True)
        if os.geteuid() == 0:
            _hand_to_service(directory)
    owner = directory.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def _hand_to_service(directory: Path) -> None:
    with contextlib.suppress(KeyError):
        user = pwd.getpwnam(SERVICE_USER)
        os.chown(directory, user.pw_uid, user.pw_gid)
