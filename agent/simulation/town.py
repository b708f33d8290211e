"""The town that a story plays in: how much goes on in it, and what everybody in it shares.

The one rule: one seed is one story. All dice are rolled by generators made from the seed, and all time is virtual.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from agent.simulation.auditor import Auditor
from agent.simulation.backend_process import BackendProcess
from agent.simulation.lane_process import LaneProcess
from agent.simulation.network import Network

START_S: Final = 1_800_000_000


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean times between events in seconds of virtual time, the money at stake in minor units, and shares of sales."""

    lanes: int = 2
    lenders: int = 1
    hours: float = 10.0
    accounts: int = 4
    limit_minor: int = 60_000
    allowance_minor: int = 25_000
    sale_max_minor: int = 20_000
    sale_every_s: float = 400.0
    elsewhere_every_s: float = 450.0
    repay_every_s: float = 1200.0
    snapshot_every_s: float = 2700.0
    policy_every_s: float = 4 * 3600.0
    settle_every_s: float = 3 * 3600.0
    crash_every_s: float = 2400.0
    partition_every_s: float = 1500.0
    clock_jump_every_s: float = 2 * 3600.0
    ledger_put_back_every_s: float = math.inf
    backend_put_back_every_s: float = math.inf
    limit_change_every_s: float = math.inf
    recall_every_s: float = math.inf
    replace_every_s: float = math.inf
    lease_life_s: int = 3600
    printer_trouble: float = 0.05
    look_share: float = 0.3
    coupon_share: float = 0.0
    slip_refund_share: float = 0.0


Happening = tuple[float, Callable[[], Awaitable[None]]]
"""What happens again and again, and the mean time between, seconds; infinite: never."""


@dataclass(frozen=True, slots=True)
class Town:
    """``random`` is the dice of people and mishaps; lanes, backend, network and auditor have dice of their own."""

    scale: Scale
    random: Random
    auditor: Auditor
    network: Network
    backend: BackendProcess
    lanes: list[LaneProcess]

    def now_s(self) -> int:
        """UTC seconds, as an honest clock shows them."""
        return START_S + int(asyncio.get_running_loop().time())
