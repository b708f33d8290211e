"""A PostgreSQL server for tests: Debian's, in a new directory, on a Unix socket, as a user without privileges.

Nothing here outlives the tests, so nothing is flushed; what a crash does to the books is tried on SQLite.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
UNPRIVILEGED = "postgres"
SETTINGS = (
    "fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=200", "listen_addresses=",
)  # fmt: skip
_numbers = count(1)


class Server:
    """``new_database`` gives the URL of an empty database."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def new_database(self) -> str:
        name = f"books{next(_numbers)}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")  # type: ignore[arg-type]
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql:///{name}?host={self.directory}&user=counterfoil"


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """Skips the test that asks where PostgreSQL is not installed."""
    if not BINARIES:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    directory = Path(tempfile.mkdtemp(prefix="counterfoil-pg-"))
    try:
        _own(directory)
        _run(
            "initdb",
            "-D",
            str(directory / "data"),
            "-U",
            "counterfoil",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "-N",
            "--locale=C",
        )
        options = " ".join(f"-c {setting}" for setting in (*SETTINGS, f"unix_socket_directories={directory}"))
        _run("pg_ctl", "-D", str(directory / "data"), "-w", "-l", str(directory / "log"), "-o", options, "start")
        try:
            yield Server(directory)
        finally:
            _run("pg_ctl", "-D", str(directory / "data"), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _own(directory: Path) -> None:
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED)
        os.chown(directory, user.pw_uid, user.pw_gid)


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
        env={"PATH": os.defpath, "LC_ALL": "C", "USER": user or getpass.getuser()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
