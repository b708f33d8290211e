"""What operators do: the lender's, who cut snapshots, publish policies, change limits and recall leases; the shop's,
who close the day; and whoever comes to recover a lane, or puts another device in its place.

The one rule: each does what the product's own commands do, whatever is under way.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from agent.core.cose import SigningKey
from agent.errors import CounterfoilError
from agent.lane import Lane
from agent.services.settlement import BatchReport
from agent.simulation.backend_process import LENDER
from agent.simulation.lane_process import LaneProcess
from agent.simulation.town import Happening, Town


class Operators:
    def __init__(self, town: Town) -> None:
        self._town, self._random = town, town.random

    def happenings(self) -> Sequence[Happening]:
        scale = self._town.scale
        return (
            (scale.snapshot_every_s, self._publish_snapshots),
            (scale.policy_every_s, self._publish_policy),
            (scale.settle_every_s, self.settle_all),
            (scale.limit_change_every_s, self._change_a_limit),
            (scale.recall_every_s, self._recall),
            (scale.replace_every_s, self._replace_a_lane),
        )

    def refresh_snapshots(self) -> None:
        self._town.backend.refresh_snapshots()
        self._town.auditor.backend_changed("snapshots built")

    async def settle_all(self) -> None:
        for lane in self._town.lanes:
            with contextlib.suppress(CounterfoilError):
                for report in await lane.ask(_settled) or ():
                    self._town.auditor.settled(lane, report)

    async def recover(self, lane: LaneProcess) -> None:
        with contextlib.suppress(CounterfoilError):
            await lane.ask(lambda running: running.restoration.begin_again(LENDER))

    async def _publish_snapshots(self) -> None:
        self.refresh_snapshots()

    async def _publish_policy(self) -> None:
        self._town.backend.publish_policy()

    async def _change_a_limit(self) -> None:
        """Cut for a while, whatever is under way; never above what the account was opened with."""
        customer = self._random.choice(self._town.backend.customers)
        for limit_minor in (self._random.randrange(customer.limit_minor), customer.limit_minor):
            self._town.backend.set_limit(customer, limit_minor)
            self._town.auditor.backend_changed(f"limit {limit_minor}")
            await asyncio.sleep(self._random.uniform(1, 3600))

    async def _recall(self) -> None:
        """Of an account or of all, at a lane or everywhere; sometimes held back for a while after it is answered."""
        customer = self._random.choice(self._town.backend.customers)
        lane = self._random.choice((None, self._random.choice(self._town.lanes).name.lane))
        account = self._random.choice((None, customer.account, customer.account))
        hold_s = self._random.choice((0, 0, 1800))
        self._town.backend.recall(customer.lender, lane, account, hold_s)
        self._town.auditor.backend_changed("leases recalled")

    async def _replace_a_lane(self) -> None:
        """The device is destroyed with all that it had not sent, and another one takes its place (lease rule 12)."""
        lane = self._random.choice(self._town.lanes)
        if lane.lane is None or self._town.backend.backend is None:
            return
        await lane.crash(None)
        await lane.crash_uplink()
        key = SigningKey.from_seed("p256", self._random.randbytes(32))
        epoch, previous = self._town.backend.replace(lane.name, key.public)
        self._town.auditor.replaced(lane)
        lane.become_another_device(key, epoch, previous)
        lane.boot()
        self._town.auditor.backend_changed(f"{lane.name.lane} has another device")


async def _settled(lane: Lane) -> list[BatchReport]:
    """Close every lender's day, and match what an earlier close could not."""
    closed = [await lane.settlement.close_day(lender.lender) for lender in lane.lenders.all()]
    return [*filter(None, closed), *await lane.settlement.match_pending()]
