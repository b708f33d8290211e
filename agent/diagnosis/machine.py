"""The computer: configuration, software, directories, disk, and whether the agent runs.

The one rule: nothing that was there before is written to; the disk is tried with a file of our own.
"""

from __future__ import annotations

import os
import platform
import pwd
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

import apsw

from agent.diagnosis.case import Case
from agent.diagnosis.examination import Finding, failed, ok, warning
from agent.errors import ConfigError, CounterfoilError
from agent.store.reserve import LOW_BYTES, Reserve
from agent.uplink.identity import IDENTITY_FILE

SQLITE_MIN: Final = (3, 51, 3)
"""The first release in which two connections cannot corrupt a database at a WAL reset."""
SLOW_SYNC_S: Final = 0.2
"""A sale waits for one sync between decision and display."""
PROBE_BYTES: Final = 4096
VOLATILE: Final = ("tmpfs", "ramfs", "overlay")
MB: Final = 10**6
CONNECT_S: Final = 3.0
RESTART: Final = "systemctl restart counterfoil"
START: Final = "systemctl start counterfoil; if it stops again: journalctl -u counterfoil -n 50"


def config(case: Case) -> Iterator[Finding]:
    try:
        yield ok(f"{case.config_path}, {_counted(case)}")
    except ConfigError as error:
        yield failed(f"{case.config_path} cannot be used", error.message, error.hint)


def _counted(case: Case) -> str:
    scanners = len(case.config.scanner)
    return f"{scanners} scanner{'' if scanners == 1 else 's'}, {'a' if case.config.printer.address else 'no'} printer"


def versions(_: Case) -> Iterator[Finding]:
    said = (
        f"counterfoil {version('counterfoil')}, Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}"
    )
    if tuple(map(int, apsw.sqlite_lib_version().split("."))) < SQLITE_MIN:
        cause = "This SQLite can damage a database when it starts its log over (WAL reset)."
        yield warning(said, cause, "Install the package's own libraries again; do not use the system's SQLite.")
    else:
        yield ok(said)


def state_dir(case: Case) -> Iterator[Finding]:
    path = case.config.lane.state_dir
    yield from _directory(path, f"As root: install -d -m 0700 -o counterfoil -g counterfoil {path}")


def run_dir(case: Case) -> Iterator[Finding]:
    path = case.config.lane.run_dir
    if path.exists():
        yield from _directory(path, "Start the agent again: it makes this directory.")
    else:
        yield ok(f"{path} is made when the agent starts")


def _directory(path: Path, remedy: str) -> Iterator[Finding]:
    try:
        found = path.stat()
    except OSError as error:
        yield failed(f"{path} is not there", f"{path}: {error.strerror}.", remedy)
        return
    owner = user_name(found.st_uid)
    if not stat.S_ISDIR(found.st_mode):
        yield failed(f"{path} is not a directory", "Something else has its name.", f"Move it away. {remedy}")
    elif not os.access(path, os.W_OK | os.X_OK):
        user = user_name(os.geteuid())
        yield failed(f"{path} belongs to {owner}", f"User {user} may not write there.", f"Run this as {owner} or root.")
    elif strangers := [entry.name for entry in path.iterdir() if entry.stat().st_uid != found.st_uid]:
        cause = f"{', '.join(sorted(strangers)[:3])} belongs to another user than the directory ({owner})."
        yield failed(f"{path} has a file of another user", cause, f"As root: chown -R {owner}: {path}")
    elif found.st_mode & stat.S_IWOTH:
        yield warning(f"{path} is open to all", "Every user may change what is in it.", f"As root: chmod o-w {path}")
    else:
        yield ok(f"{path}, of user {owner}")


def user_name(uid: int) -> str:
    """Of this computer; the number of a user that it does not know."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def disk_space(case: Case) -> Iterator[Finding]:
    free, needed = shutil.disk_usage(case.config.lane.state_dir).free // MB, case.config.limits.free_space_min_mb
    remedy = (
        f"Delete what is not Counterfoil's from the disk of {case.config.lane.state_dir} "
        "(du -xh / | sort -h | tail shows what is large), or put in a larger one."
    )
    if Reserve(case.config.lane.reserve_file).spare_bytes() < LOW_BYTES:
        cause = "The disk is full: no sale is begun. What was begun can still be captured, reversed and settled."
        yield failed(f"{free} MB free", cause, remedy)
    elif free < needed:
        cause = f"Below {needed} MB the lane no longer approves offline, to keep room for what it has approved."
        yield failed(f"{free} MB free", cause, remedy)
    elif free < 2 * needed:
        yield warning(f"{free} MB free", f"At {needed} MB the lane stops approving offline.", remedy)
    else:
        yield ok(f"{free} MB free, {needed} MB needed")


def disk_sync(case: Case) -> Iterator[Finding]:
    directory = case.config.lane.state_dir
    try:
        took_s = _try_disk(directory)
    except OSError as error:
        remedy = "Free space, remount the disk writable, or replace it if the system log names disk errors."
        yield failed("the disk does not keep data", f"{directory}: {error.strerror or error}.", remedy)
        return
    said = f"write, sync and read again: {took_s * 1000:.0f} ms"
    if (kind := _file_system(directory)) in VOLATILE:
        remedy = "Put state_dir on a real disk, or sales that are not sent yet are lost at power-off."
        yield warning(said, f"{directory} is on {kind}, which forgets.", remedy)
    elif took_s > SLOW_SYNC_S:
        cause = "Each sale waits for the disk this long."
        yield warning(said, cause, "Look for a failing disk or a busy program; an SD card or USB stick is too slow.")
    else:
        yield ok(said)


def _try_disk(directory: Path) -> float:
    """Seconds for a write, a sync, and the same bytes read again. Raises OSError."""
    began, data = time.monotonic(), os.urandom(PROBE_BYTES)
    with tempfile.TemporaryFile(dir=directory) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # so that the read asks the disk
        file.seek(0)
        if file.read() != data:
            raise OSError("it gives back other data than was written")
    return time.monotonic() - began


def _file_system(directory: Path) -> str:
    """The kind of file system below a directory (proc(5), mountinfo: the field after the lone hyphen)."""
    device = directory.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == wanted:
            return source.split()[0]
    return "unknown"


def agent(case: Case) -> Iterator[Finding]:
    says = case.agent_says
    if not isinstance(says, CounterfoilError):
        yield ok(f"runs as {says['lane']} of {says['store']}; it is asked, nothing is opened here")
    elif case.agent_socket.exists() and not os.access(case.agent_socket, os.R_OK | os.W_OK):
        group = "User or group of this login may not use the agent's socket."
        yield failed("may not be asked", group, "Run this as root, or add your user to the group of the socket.")
    else:
        waits = "" if (case.identity_dir / IDENTITY_FILE).exists() else "It waits for `counterfoil enroll`. "
        yield failed("does not run; its files are opened here instead", says.message, waits + START)


def sockets(case: Case) -> Iterator[Finding]:
    """Who may sell on this lane is whoever may open the socket."""
    mode = stat.S_IMODE(case.agent_socket.stat().st_mode)
    if mode & 0o007:
        cause = f"{case.agent_socket} has mode {mode:04o}: every user of this computer may sell."
        yield failed("open to everybody", cause, f"Restart the agent: {RESTART}")
    else:
        yield ok(f"{case.agent_socket}, mode {mode:04o}")


def http(case: Case) -> Iterator[Finding]:
    """Pages and POS software find the agent on the port of `[local] port`, and nobody else there."""
    port, found = case.config.local.port, {row["code"]: row["detail"] for row in case.facts.get("conditions", ())}
    if not port:
        yield ok("not asked for ([local] port): no page, no POS software over HTTP")
    elif fault := found.get("http_port"):
        remedy = f"See who has it: ss -ltnp 'sport = :{port}'. Stop that, or set another [local] port; then: {RESTART}"
        yield failed("nobody answers for the lane", f"{fault.capitalize()}.", remedy)
    elif not _is_answered(port):
        yield failed(f"nobody answers on 127.0.0.1:{port}", "The port was set after the agent started.", RESTART)
    else:
        yield ok(f"127.0.0.1:{port}, for pages and POS software")


def _is_answered(port: int) -> bool:
    with socket.socket() as line:
        line.settimeout(CONNECT_S)
        return line.connect_ex(("127.0.0.1", port)) == 0


def uplink(case: Case) -> Iterator[Finding]:
    """The other process: it talks to the backend for the agent."""
    link = case.facts["link"]
    if link["up"]:
        yield ok("connected: sales are asked online")
    else:
        said = link["detail"] or "The uplink process is not connected to the agent."
        remedy = "systemctl restart counterfoil-uplink; if it stays: journalctl -u counterfoil-uplink -n 50"
        yield failed("down: the lane stands in", said, remedy)
