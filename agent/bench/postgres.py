"""A PostgreSQL server of one's own: Debian's, in a new directory, on a Unix socket, as a user without privileges.

The one rule: without settings it is as fast as an operator's, flushes included; what is set is where it lies and who
may ask.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

BINARIES: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
"""Where Debian puts each version; empty if there is none."""

UNPRIVILEGED: Final = "postgres"
DATABASE: Final = "postgres"
START_S: Final = "300"
"""How long a start or a stop may take on a busy machine; pg_ctl itself gives up after 60."""


@contextlib.contextmanager
def postgres(*settings: str) -> Iterator[str]:
    """The URL of an empty database at a server with these ``name=value`` settings; server and data are gone
    afterwards. Raises OSError, CalledProcessError."""
    directory = Path(tempfile.mkdtemp(prefix="counterfoil-pg-"))
    data = str(directory / "data")
    try:
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            os.chown(directory, user.pw_uid, user.pw_gid)
        _run("initdb", "-D", data, "-U", "counterfoil", "-A", "trust", "-E", "UTF8", "-N", "--locale=C")
        all_settings = ("listen_addresses=", f"unix_socket_directories={directory}", *settings)
        options = " ".join(f"-c {setting}" for setting in all_settings)
        _run("pg_ctl", "-D", data, "-w", "-t", START_S, "-l", str(directory / "log"), "-o", options, "start")
        try:
            yield f"postgresql:///{DATABASE}?host={directory}&user=counterfoil"
        finally:
            _run("pg_ctl", "-D", data, "-m", "fast", "-w", "-t", START_S, "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(program: str, *arguments: str) -> None:
    """PostgreSQL refuses to run as root."""
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    subprocess.run(
        [str(BINARIES[-1] / program), *arguments],
        check=True,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
