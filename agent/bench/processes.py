"""The daemon as a process: how soon it answers, how large it is, how soon it is back after a kill.

The one rule: ready is when the local API answers a question about the lane, not when the process exists.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

from agent.bench.measure import Figure
from agent.demo.props import command, wait_for
from agent.demo.stage import Stage
from agent.errors import AgentNotRunning

READY_MAX_S: Final = 1.0
RSS_MAX_MIB: Final = 80
UPLINK_SETTLES_S: Final = 2.0
MS: Final = 1_000


class Process:
    """One of the product's commands, with its output in a file; its bytecode is kept, as an installation has it."""

    def __init__(self, name: str, config: Path, log: Path) -> None:
        self._line, self._log = command("counterfoil", name, "--config", str(config)), log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            keeping = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
            self._process = subprocess.Popen(self._line, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=keeping)

    @property
    def rss_mib(self) -> float:
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)


def processes(stage: Stage, times: int) -> Iterator[Figure]:
    """``run`` and ``uplink`` of the stage's lane, whose own processes have been stopped."""
    agent = Process("run", stage.config, stage.out / "agent.log")
    uplink = Process("uplink", stage.config, stage.out / "uplink.log")
    try:
        _ready_s(stage, agent, agent.stop)  # whatever is not compiled yet is compiled now
        first = [_ready_s(stage, agent, agent.stop) for _ in range(times)]
        uplink.start()
        again = [_ready_s(stage, agent, agent.kill) for _ in range(times)]
        time.sleep(UPLINK_SETTLES_S)
        sizes = agent.rss_mib, uplink.rss_mib
    finally:
        uplink.stop()
        agent.stop()
    yield from _figures(median(first), median(again), *sizes)


def _figures(first_s: float, again_s: float, agent_mib: float, uplink_mib: float) -> Iterator[Figure]:
    bare = [sys.executable, "-c", "import asyncio"]
    bare_s = median(_seconds(lambda: subprocess.run(bare, check=True)) for _ in range(5))
    against, goal = "python -c 'import asyncio'", f"<= {READY_MAX_S * MS:.0f} ms"
    limit = "imports: Starlette, uvicorn, pydantic, peewee, cryptography"
    yield Figure("run: start to ready", first_s * MS, "ms", first_s / bare_s, against, goal, limit)
    yield Figure("run: SIGKILL to the next answer", again_s * MS, "ms", again_s / bare_s, against, goal)
    for name, mib in (("run", agent_mib), ("uplink", uplink_mib)):
        yield Figure(f"{name}: resident memory", mib, "MiB", mib / RSS_MAX_MIB, f"{RSS_MAX_MIB} MiB", "<= 1")


def _ready_s(stage: Stage, agent: Process, end: Callable[[], None]) -> float:
    """How long until the agent answers, once ``end`` has ended the one before."""
    end()
    began = time.perf_counter()
    agent.start()
    wait_for("the agent answers", lambda: _answers(stage), 20)
    return time.perf_counter() - began


def _answers(stage: Stage) -> bool:
    try:
        return bool(stage.client.get("/v1/status"))
    except AgentNotRunning:
        return False


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
