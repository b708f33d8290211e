"""The reference backend over real TLS in a thread of its own, with hooks that do what its operator would.

The one rule: it is the real application over a real database; a fault is put in from outside, by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest import mock

from agent.conformance import kit as kits
from agent.conformance.kit import HookFailed, Kit
from agent.demo.props import free_port
from backend import lenders, server
from backend.admin.operation import Refused, perform
from backend.admin.table import OPERATIONS
from backend.compose import Backend, compose
from backend.conformance_kit import LEASE_MINOR, make_kit
from backend.database import open_database, transaction
from backend.demo_data import DEMO_LENDER, DEMO_NAME
from backend.identity import Authority
from backend.rails.sandbox import all_sandboxes
from backend.snapshots import Plan

REFRESH_S = 0.3
START_WAIT_S = 120
OTHER = ("other-lend", "Other Lend")
SERVER = server._Server
OPERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "revoke_lane": ("lane.revoke", {"compromised": True}),
    "replace_lane": ("lane.replace", {}),
    "set_limit": ("account.limit", {}),
    "recall": ("lease.recall", {"reason": "conformance"}),
    "rotate_key": ("keys.rotate", {}),
    "pay_code": ("code.pay", {}),
    "restored": ("recovery.begin", {"reason": "conformance"}),
}
"""A hook, and what the operator does for it."""

Wrap = Callable[[Any], Any]


class _InThread(SERVER):
    """A thread that is not the main one gets no signals; it is told to end."""

    running: _InThread | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        type(self).running = self

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _now_s() -> int:
    return int(time.time())


class Served:
    """A backend with two lenders, listening on a free port of loopback. ``wrap`` is put around the application, and
    ``before_restart`` is done to the closed database."""

    def __init__(self, directory: Path, wrap: Wrap, before_restart: Callable[[Path], None]) -> None:
        self._directory, self._wrap, self._before_restart = directory, wrap, before_restart
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: Future[Kit] = Future()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> Kit:
        """Raises whatever kept it from starting."""
        self._thread.start()
        kit = self._ready.result(START_WAIT_S)
        self._listening()
        return kit

    def stop(self) -> None:
        self._is_ending = True
        if _InThread.running is not None:
            _InThread.running.should_exit = True
        self._thread.join(START_WAIT_S)

    def _listening(self) -> None:
        deadline = time.monotonic() + START_WAIT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            time.sleep(0.05)
        raise TimeoutError("the backend does not listen")

    def _run(self) -> None:
        create_app = server.create_app

        def wrapped(backend: Backend) -> Any:
            app = create_app(backend)
            around = self._wrap(app)
            around.state = app.state
            return around

        try:
            with mock.patch.multiple(server, _Server=_InThread, create_app=wrapped):
                asyncio.run(self._serve())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            raise

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        authority = self._found()
        while not self._is_ending:
            self.backend = self._open(authority)
            if not self._ready.done():
                self._ready.set_result(self._kit())
            await server.serve(self.backend, self._directory, "127.0.0.1", self.port, refresh_s=REFRESH_S)
            self.backend.database.close()
            self._before_restart(self._directory / "backend.db")

    def _found(self) -> Authority:
        authority = Authority.create(int(time.time()))
        key, certificate = authority.issue_server(["localhost", "127.0.0.1"], int(time.time()))
        for name, data in (("ca.crt", authority.certificate_pem), ("server.key", key), ("server.crt", certificate)):
            (self._directory / name).write_bytes(data)
        database = open_database(str(self._directory / "backend.db"))
        with transaction(database):
            for lender, name in ((DEMO_LENDER, DEMO_NAME), OTHER):
                lenders.create(lender, name, "CNY", now_s=int(time.time()), randomness=secrets.token_bytes)
        database.close()
        return authority

    def _open(self, authority: Authority) -> Backend:
        database = open_database(str(self._directory / "backend.db"))
        return compose(
            database,
            clock=_now_s,
            rails=all_sandboxes(database, _now_s),
            randomness=secrets.token_bytes,
            authority=authority,
            plan=Plan(LEASE_MINOR),
        )

    def _kit(self) -> Kit:
        path = self._directory / "kit.json"
        path.write_text(json.dumps(make_kit(self.backend, lender=DEMO_LENDER, prefix="cf", lanes=80, phones=90)))
        prepared = kits.load(path)
        members = {field.name: getattr(prepared, field.name) for field in fields(Kit)}
        return Kit(**(members | {"hooks": self._hooks()}))

    # --- what the operator does ------------------------------------------------------------------------------------
    def _hooks(self) -> dict[str, Callable[..., str]]:
        def operator(operation: str, more: dict[str, Any]) -> Callable[..., str]:
            async def act(values: dict[str, Any]) -> str:
                (step,) = perform(OPERATIONS, self.backend, operation, values | more)
                return str(step["answer"].get("code", ""))

            def hook(**values: Any) -> str:
                assert self._loop is not None
                try:
                    return asyncio.run_coroutine_threadsafe(act(values), self._loop).result(START_WAIT_S)
                except Refused as refused:
                    raise HookFailed(str(refused)) from refused

            return hook

        return {"restart": self._restart} | {name: operator(*row) for name, row in OPERATORS.items()}

    def _restart(self) -> str:
        before = _InThread.running
        assert before is not None
        before.should_exit = True
        deadline = time.monotonic() + START_WAIT_S
        while _InThread.running is before and time.monotonic() < deadline:
            time.sleep(0.05)
        self._listening()
        return ""


@contextmanager
def serving(
    directory: Path, *, wrap: Wrap = lambda app: app, before_restart: Callable[[Path], None] = lambda _path: None
) -> Iterator[tuple[str, Kit]]:
    """The address and a kit of a backend that is there as long as the context."""
    logging.getLogger("counterfoil.backend").setLevel(logging.CRITICAL)
    served = Served(directory, wrap, before_restart)
    kit = served.start()
    try:
        yield served.url, kit
    finally:
        served.stop()
