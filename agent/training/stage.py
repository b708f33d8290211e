"""A training counter set up: a sandbox backend with customers, a line to it that can be cut, a lane enrolled there.

The one rule: whatever is started here is ended here, in reverse order; what is not to be kept is removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent import uplink_app
from agent.config import Config, load
from agent.demo.props import Line, Phone, Program, ask, command, free_port, wait_for
from agent.errors import AgentNotRunning, CounterfoilError, UplinkUnavailable
from agent.local.client import LocalClient
from agent.training.scenes import Scenes, customers
from agent.training.settings import Place, settings

LANE: Final = "training"
LENDER_NAME: Final = "培训信用付 Training Credit"
RICH: Final = (40, 500_000)
POOR: Final = (10, 100)
"""How many customers, and the credit limit of each in minor units."""
LEASE_MINOR: Final = 60_000
START_S: Final = 180.0


class TrainingFailed(CounterfoilError):
    """The training counter cannot be started."""

    code = "training_failed"
    hint = "Mend what the message names and start it again: nothing was changed, and the real lane is not touched."


@dataclass(frozen=True, slots=True)
class Options:
    """``shop``: the configuration whose name, language and, ``with_devices``, devices are taken; ``keep``: a folder
    that outlives the training, None: nothing does."""

    shop: Config
    port: int
    keep: Path | None = None
    with_devices: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything is there but the lane itself: ``config`` and ``scenes`` are what ``agent.app.run`` needs."""

    place: Place
    config: Config
    scenes: Scenes

    def wait_until_ready(self) -> None:
        """Until the lane would sell, without a line too. Raises DemoFailed."""

        def is_ready() -> bool:
            with suppress(AgentNotRunning):
                health = self._agent.get("/v1/health")
                return bool(health["stands_in"] and health["link_up"])
            return False

        wait_for("the training counter is ready", is_ready, START_S)

    def link(self, page: str) -> str:
        """Where a browser opens the page, once. Raises AgentNotRunning."""
        made = self._agent.post("/v1/page-links", {"page": page})
        return f"http://127.0.0.1:{self.place.port}{made['path']}"

    @property
    def _agent(self) -> LocalClient:
        return LocalClient(self.config.agent_socket)


@contextmanager
def staged(options: Options) -> Iterator[Stage]:
    """Raises TrainingFailed, TrainingMixed, ConfigError, DemoFailed and the faults of enrollment."""
    _check_free(options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end: no process is left behind
    with ExitStack() as ends:
        run_dir = _temporary(ends)
        folder = options.keep.resolve() if options.keep else _temporary(ends)
        folder.mkdir(parents=True, exist_ok=True)
        port, backend = free_port(), folder / "backend"
        line = Line(port)
        ends.callback(line.close)
        place = Place(folder, run_dir, options.port, line.port)
        place.config_path.write_text(settings(options.shop, place, with_devices=options.with_devices), "utf-8")
        config = load(place.config_path)
        rich, poor = _backend_with_customers(backend)
        # Before a server holds the books: it takes orders only when it is there.
        code = None if uplink_app.is_enrolled(config) else _enroll_code(config, backend)
        serve = ("serve", "--dir", str(backend), "--port", str(port), "--refresh-s", "1")
        _started(ends, "backend", command("counterfoil-backend", *serve, "--allowance-minor", str(LEASE_MINOR)), folder)
        if code is not None:
            _enroll(config, code)
        _started(ends, "uplink", command("counterfoil", "uplink", "--config", str(place.config_path)), folder)
        yield Stage(place, config, Scenes(line, customers(rich), customers(poor)))


def _check_free(options: Options) -> None:
    """Before anything is made. Raises TrainingFailed."""
    try:
        socket.create_server(("127.0.0.1", options.port)).close()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise TrainingFailed(f"Port {options.port} cannot be used: {why}. Choose another: --port.") from None
    if not options.with_devices:
        return
    with suppress(AgentNotRunning):
        LocalClient(options.shop.agent_socket).get("/v1/health")
        raise TrainingFailed("The lane's own agent holds its devices: stop it first (systemctl stop counterfoil).")


def _temporary(ends: ExitStack) -> Path:
    path = Path(tempfile.mkdtemp(prefix="counterfoil-training-"))
    ends.callback(shutil.rmtree, path, ignore_errors=True)
    return path


def _started(ends: ExitStack, name: str, line: list[str], log_dir: Path) -> None:
    program = Program(name, line, log_dir)
    ends.callback(program.stop)
    program.start()


def _backend_with_customers(directory: Path) -> tuple[list[Phone], list[Phone]]:
    """A sandbox backend in this directory, and customers of today: their codes are good for days, not for ever."""
    where = ("--dir", str(directory), "--json")
    if not (directory / "ca.key").exists():
        ask(*command("counterfoil-backend", "init", "--training", "--lender-name", LENDER_NAME, *where))

    def opened(count: int, limit_minor: int) -> list[Phone]:
        wanted = ("--count", str(count), "--limit-minor", str(limit_minor))
        rows: list[dict[str, Any]] = ask(*command("counterfoil-backend", "account", "add", *wanted, *where))["accounts"]
        return [Phone.load(directory / "phones" / f"{row['account']}.json") for row in rows]

    return opened(*RICH), opened(*POOR)


def _enroll_code(config: Config, backend: Path) -> str:
    """Needed once: whoever trains again in a folder that was kept goes on with its journal."""
    named = ("--lane", LANE, "--store", LANE, "--merchant-name", config.merchant.name)
    code: str = ask(*command("counterfoil-backend", "enroll-code", *named, "--dir", str(backend), "--json"))["code"]
    return code


def _enroll(config: Config, code: str) -> None:
    def enrolled() -> bool:
        with suppress(UplinkUnavailable):
            uplink_app.enroll(config, config.backend.url, code, is_training=True)
            return True
        return False

    wait_for("the sandbox backend answers", enrolled, START_S)
