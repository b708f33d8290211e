"""What the story plays with: processes, a network line that can be cut, and a customer's phone.

The one rule: a prop behaves like the thing it stands for; none of them knows the story.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from agent.core.cose import SigningKey
from agent.core.credit_pass import Proof, assemble, issue_proof
from agent.core.trust import AID_DEFAULT
from agent.errors import CounterfoilError

STOP_S: Final = 10.0
CHUNK: Final = 65_536
PORTS: Final = range(20_000, 32_000)
T = TypeVar("T")


class DemoFailed(CounterfoilError):
    """The demo could not go on."""

    code = "demo_failed"
    hint = "Look at the logs in the folder that the demo named at its start."


def wait_for(what: str, check: Callable[[], T | None], timeout_s: float) -> T:
    """The first value of ``check`` that is not None or False. Raises DemoFailed after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = check()
        if value:
            return value
        time.sleep(0.05)
    raise DemoFailed(f"It took longer than {timeout_s:.0f} s: {what}.")


class Program:
    """One of the product's own commands as a process of its own, with its log in a file."""

    def __init__(self, name: str, arguments: Sequence[str], log_dir: Path) -> None:
        self.name, self._arguments, self._log = name, list(arguments), log_dir / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def processor_s(self) -> float:
        """Seconds of processor time that the running process has used so far (proc(5): stat, fields 14 and 15)."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """SIGKILL: nothing of the process gets a chance to put anything in order."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that is not enough."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def command(program: str, *arguments: str) -> list[str]:
    """A command line of this very installation."""
    return [str(Path(sys.executable).with_name(program)), *arguments]


def ask(*line: str) -> Any:
    """Run a command that answers in JSON. Raises DemoFailed with what it said."""
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise DemoFailed(f"{Path(line[0]).name} {line[1]}: {done.stderr.strip() or done.stdout.strip()}") from None


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives to connections (from 32768: ip(7)).

    One of theirs may be taken by any connection before it is listened on.
    """
    while True:
        port = PORTS[secrets.randbelow(len(PORTS))]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Line:
    """The network between lane and backend: a TCP relay that can be cut like a cable: nothing arrives any more."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._whole = threading.Event()
        self._whole.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def is_whole(self) -> bool:
        return self._whole.is_set()

    def cut(self) -> None:
        self._whole.clear()

    def restore(self) -> None:
        """Connections from before are gone, as after a router's restart."""
        for end in list(self._ends):
            _close(end)
        self._whole.set()

    def close(self) -> None:
        _close(self._listener)
        for end in list(self._ends):
            _close(end)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        self._ends.add(near)
        if not self._whole.is_set():
            return  # a cable that is cut: connected to nothing, and nobody says so
        try:
            far = socket.create_connection(("127.0.0.1", self._target_port), 5)
        except OSError:
            _close(near)
            return
        self._ends.add(far)
        threading.Thread(target=self._pump, args=(near, far), daemon=True).start()
        self._pump(far, near)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(CHUNK):
                if self._whole.is_set():
                    sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                self._ends.discard(end)
                _close(end)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@dataclass(frozen=True, slots=True)
class Phone:
    """A customer's phone: its key, the lender's credential, and the code that it shows."""

    key: SigningKey
    credential: bytes
    aid: bytes = AID_DEFAULT

    @classmethod
    def load(cls, path: Path) -> Phone:
        fields = json.loads(path.read_text())
        key = SigningKey.from_pem(fields["key"].encode())
        return cls(key, base64.b64decode(fields["credential"]), bytes.fromhex(fields["aid"]))

    def code(self, *, age_s: int = 0, user_verified: bool = True) -> str:
        """A fresh code, or one that was on the screen ``age_s`` seconds ago."""
        proof = Proof(int(time.time()) - age_s, os.urandom(8), user_verified=user_verified, counter=None)
        return assemble(self.credential, issue_proof(self.credential, proof, self.key), self.aid)

    def forged_code(self) -> str:
        """As a thief would make it: the credential of somebody else, a proof by his own key."""
        thief = SigningKey.from_seed("ed25519", os.urandom(32))
        proof = Proof(int(time.time()), os.urandom(8), user_verified=True, counter=None)
        return assemble(self.credential, issue_proof(self.credential, proof, thief), self.aid)
