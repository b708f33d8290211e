"""A fleet of lanes, a backend and customers in virtual time, with everything going wrong that can.

The one rule: whatever happens in between, the story ends healed, and then both halves must match. A failing run is
replayed by its seed alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from agent.core.cose import SigningKey
from agent.simulation.aftermath import Aftermath
from agent.simulation.auditor import Auditor, Findings
from agent.simulation.backend_process import LENDER, BackendProcess
from agent.simulation.customers import Customers
from agent.simulation.lane_process import LaneProcess, Site
from agent.simulation.loop import run_virtually
from agent.simulation.mishaps import HEAL_S, Mishaps
from agent.simulation.network import Network
from agent.simulation.operators import Operators
from agent.simulation.town import START_S, Scale, Town
from backend.identity import LaneName
from backend.snapshots import Plan

FIRST_BEATS_S: Final = 30.0
"""Lanes say what they have before anything is cut for them."""
WARM_UP_S: Final = 400.0


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one seed."""

    seed: int
    lane_hours: float
    sales: int
    approved: int
    findings: Findings


def simulate(seed: int, scale: Scale) -> Run:
    """One story from its seed. Violations are findings, never exceptions."""
    with tempfile.TemporaryDirectory(prefix="counterfoil-") as directory, _quiet():
        return run_virtually(seed, lambda: _story(seed, scale, Path(directory)))


async def _story(seed: int, scale: Scale, directory: Path) -> Run:
    return await Fleet(seed, scale, directory).live()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The product logs every fault; here faults are the weather."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


class Fleet:
    def __init__(self, seed: int, scale: Scale, directory: Path) -> None:
        self._seed, self._scale = seed, scale
        self._town = town = _founded(seed, scale, directory)
        self._operators = Operators(town)
        self._mishaps = Mishaps(town, self._operators)
        self._customers = Customers(town, self._mishaps)

    async def live(self) -> Run:
        """Warm up, let everything go wrong, heal, and demand that both halves match."""
        town, auditor = self._town, self._town.auditor
        for lane in town.lanes:
            lane.boot()
        await asyncio.sleep(FIRST_BEATS_S)
        self._operators.refresh_snapshots()
        await asyncio.sleep(WARM_UP_S)
        actors = [asyncio.create_task(actor) for actor in self._actors()]
        await asyncio.sleep(self._scale.hours * 3600)
        for actor in actors:
            actor.cancel()
        await asyncio.gather(*actors, return_exceptions=True)
        await self._mishaps.heal()
        await self._operators.settle_all()
        await asyncio.sleep(HEAL_S)
        assert town.backend.backend is not None
        aftermath = Aftermath(auditor.seen, auditor.tally, town.backend.backend.lenders, auditor.violated)
        aftermath.check_converged(town.lanes)
        aftermath.check_disputes()
        for lane in town.lanes:
            await lane.stop()
        town.backend.stop()
        await asyncio.sleep(1)  # whatever was told to end does so
        lane_hours = self._scale.hours * len(town.lanes)
        return Run(self._seed, lane_hours, self._customers.sales, self._customers.approved, auditor.findings)

    def _actors(self) -> list[Coroutine[Any, Any, None]]:
        everybody = (self._customers, self._operators, self._mishaps)
        repeated = [happening for each in everybody for happening in each.happenings()]
        world = [self._again_and_again(mean_s, act) for mean_s, act in repeated if mean_s < math.inf]
        return [*world, *self._customers.at_the_counters()]

    async def _again_and_again(self, mean_s: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._town.random.expovariate(1 / mean_s))
            await act()


def _founded(seed: int, scale: Scale, directory: Path) -> Town:
    """Everybody set up, and nothing running yet but the backend."""
    random = Random(f"fleet {seed}")

    def now_s() -> int:
        return START_S + int(asyncio.get_running_loop().time())

    auditor = Auditor(asyncio.get_running_loop().time, Random(f"auditor {seed}"), scale.look_share)

    def arrived(what: str) -> None:
        auditor.backend_changed(what)
        if backend.grant_more():
            auditor.backend_changed("more is granted")

    network = Network(Random(f"network {seed}"), arrived)
    plan = Plan(scale.allowance_minor, lease_life_s=scale.lease_life_s)
    backend = BackendProcess(Random(f"backend {seed}"), network, plan, now_s)
    auditor.attend(backend)
    names = [LaneName(f"lane-{number}", "merchant-1", "store-1") for number in range(1, scale.lanes + 1)]
    keys = {name: SigningKey.from_seed("ed25519", random.randbytes(32)) for name in names}
    names_of_lenders = [LENDER, *(f"{LENDER}-{number}" for number in range(2, scale.lenders + 1))]
    limits = [scale.limit_minor] * scale.accounts
    lenders = backend.found(limits, dict(keys), names=names_of_lenders)
    site = Site(Random(f"lanes {seed}"), network, lenders, directory, auditor, START_S)
    lanes = [LaneProcess(name, keys[name], site, printer_trouble=scale.printer_trouble) for name in names]
    return Town(scale, random, auditor, network, backend, lanes)
