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
from pathlib import Path
from typing import Any

import uvicorn

from agent.conformance import kit as kits
from agent.conformance.kit import Kit
from backend import access, accounts, allowances, enrollment, recalls
from backend.api import create_app
from backend.compose import Backend, compose
from backend.conformance_kit import LEASE_MINOR, make_kit
from backend.database import open_database, transaction
from backend.demo_data import DEMO_LENDER, DEMO_NAME
from backend.identity import Authority
from backend.schema import Lane
from backend.server import LaneProtocol, tls_context
from backend.snapshots import Plan

REFRESH_S = 0.3
START_WAIT_S = 20
Wrap = Callable[[Any], Any]


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # a thread that is not the main one gets no signals


class Served:
    """A backend with one lender, listening on a free port of loopback."""

    def __init__(self, directory: Path, *, wrap: Wrap = lambda app: app) -> None:
        self._directory, self._wrap = directory, wrap
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: Future[Kit] = Future()
        self._thread = threading.Thread(target=self._run, daemon=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> Kit:
        """Raises whatever kept it from starting."""
        self._thread.start()
        kit = self._ready.result(START_WAIT_S)
        deadline = time.monotonic() + START_WAIT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return kit
            time.sleep(0.05)
        raise TimeoutError("the backend does not listen")

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
            raise

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.backend = self._open()
        app = create_app(self.backend)
        config = uvicorn.Config(
            self._wrap(app), host="127.0.0.1", port=self.port, http=LaneProtocol, loop="asyncio", ws="none",
            lifespan="off", log_level="critical", access_log=False,
            ssl_context_factory=lambda _config, _default: tls_context(self._directory),
        )  # fmt: skip
        self._server = _Server(config)
        raw = make_kit(self.backend, lender=DEMO_LENDER, prefix="cf", lanes=90, phones=110)
        path = self._directory / "kit.json"
        path.write_text(json.dumps(raw))
        prepared = kits.load(path)
        self._ready.set_result(
            Kit(**{name: getattr(prepared, name) for name in Kit.__slots__ if name != "hooks"}, hooks=self._hooks())
        )
        refresh = asyncio.create_task(self._refresh(app.state.hub))
        await self._server.serve()
        refresh.cancel()
        app.state.hub.close()
        self.backend.database.close()

    def _open(self) -> Backend:
        authority = Authority.create(int(time.time()))
        key, certificate = authority.issue_server(["localhost", "127.0.0.1"], int(time.time()))
        for name, data in (("ca.crt", authority.certificate_pem), ("server.key", key), ("server.crt", certificate)):
            (self._directory / name).write_bytes(data)
        database = open_database(str(self._directory / "backend.db"))
        from backend import lenders

        with transaction(database):
            lenders.create(DEMO_LENDER, DEMO_NAME, "CNY", now_s=int(time.time()), randomness=secrets.token_bytes)
        return compose(
            database, clock=lambda: int(time.time()), randomness=secrets.token_bytes, authority=authority,
            plan=Plan(LEASE_MINOR),
        )  # fmt: skip

    async def _refresh(self, hub: Any) -> None:
        while True:
            if self.backend.refresh_snapshots():
                hub.wake()
            await asyncio.sleep(REFRESH_S)

    # --- what the operator does ------------------------------------------------------------------------------------
    def _hooks(self) -> dict[str, Callable[..., str]]:
        def on_loop(act: Callable[..., Any]) -> Callable[..., str]:
            async def run(values: dict[str, Any]) -> str:
                with transaction(self.backend.database):
                    return str(act(**values) or "")

            def hook(**values: Any) -> str:
                assert self._loop is not None
                return asyncio.run_coroutine_threadsafe(run(values), self._loop).result(20)

            return hook

        acts = {
            "revoke_lane": self._revoke,
            "replace_lane": self._replace,
            "set_limit": self._set_limit,
            "recall": self._recall,
        }
        return {name: on_loop(act) for name, act in acts.items()}

    def _revoke(self, lane: str) -> None:
        access.revoke(lane, compromised=True)

    def _replace(self, lane: str) -> str:
        row = Lane.get(Lane.lane == lane)
        new = enrollment.NewLane(lane, row.store, row.merchant, "示例超市", "5411", "CNY")
        backend = self.backend
        return enrollment.create_code(
            new, backend.authority, now_s=backend.clock(), randomness=backend.randomness, replace=True
        )

    def _set_limit(self, lender: str, account: str, limit_minor: int) -> None:
        row = accounts.find(lender, bytes.fromhex(account))
        assert row is not None
        promised = sum(allowances.outstanding_by_lane(lender, bytes(row.token)).values())
        accounts.set_limit(row, limit_minor, outstanding_minor=promised)

    def _recall(self, lender: str, lane: str, account: str) -> None:
        recalls.request(
            lender, reason="conformance", now_s=self.backend.clock(), lane=lane, account=bytes.fromhex(account)
        )


@contextmanager
def serving(directory: Path, *, wrap: Wrap = lambda app: app) -> Iterator[tuple[str, Kit]]:
    """The address and a kit of a backend that is there as long as the context."""
    logging.getLogger("counterfoil.backend").setLevel(logging.CRITICAL)
    served = Served(directory, wrap=wrap)
    kit = served.start()
    try:
        yield served.url, kit
    finally:
        served.stop()
