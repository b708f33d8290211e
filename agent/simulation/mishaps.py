"""What goes wrong: processes die, lines are cut, clocks jump, and old disks are put back.

The one rule: nothing here asks whether the moment is a good one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from agent.simulation.disk import Survivors
from agent.simulation.lane_process import POLL_S, LaneProcess
from agent.simulation.network import CALM, Line
from agent.simulation.operators import Operators
from agent.simulation.town import START_S, Happening, Town

DAY_S: Final = 86_400
HEAL_S: Final = 2400.0
WALL_JUMPS_S: Final = (400 * DAY_S, -400 * DAY_S, -START_S, 3600, -3600, 45, -45, 2 * DAY_S)
"""Four hundred days either way, 1970, and the small ones that are easier to believe."""


class Mishaps:
    """``operators`` come and set right what a machine must not set right alone."""

    def __init__(self, town: Town, operators: Operators) -> None:
        self._town, self._operators, self._random = town, operators, town.random

    def happenings(self) -> Sequence[Happening]:
        scale = self._town.scale
        return (
            (scale.crash_every_s, self._crash_something),
            (scale.partition_every_s, self._cut_a_line),
            (scale.clock_jump_every_s, self._jump_a_clock),
            (scale.ledger_put_back_every_s, self._put_back_a_ledger),
            (scale.backend_put_back_every_s, self._put_back_the_backend),
        )

    async def crash_soon(self, lane: LaneProcess) -> None:
        await asyncio.sleep(self._random.uniform(0, 3))
        await self._crash(lane)

    async def _crash(self, lane: LaneProcess) -> None:
        await lane.crash(self._random.choice((None, None, *Survivors)))
        await asyncio.sleep(self._random.choice((1, 5, 60, 900)))
        if lane.lane is None:
            lane.boot()

    async def _crash_something(self) -> None:
        lane = self._random.choice(self._town.lanes)
        match self._random.randrange(4):
            case 0:
                self._town.backend.crash(self._random.choice(list(Survivors)))
                self._town.auditor.note("the backend dies")
                await asyncio.sleep(self._random.choice((1, 30, 600)))
                self._town.backend.boot()
            case 1:
                await lane.crash_uplink()
                await asyncio.sleep(self._random.choice((1, 30, 600)))
                if lane.lane is not None:
                    lane.restart_uplink()
            case _:
                await self._crash(lane)

    async def _cut_a_line(self) -> None:
        line = self._line_of(self._random.choice(self._town.lanes))
        line.up_cut, line.down_cut = self._random.choice(((True, True), (True, False), (False, True)))
        length_s = self._random.choice((10, 300, 3600, 3 * 3600))
        self._town.auditor.note(f"a line is cut for {length_s} s")
        asyncio.get_running_loop().call_later(length_s, _mend, line)

    async def _jump_a_clock(self) -> None:
        lane = self._random.choice(self._town.lanes)
        lane.clock.offset_s = self._random.choice((0, *WALL_JUMPS_S))
        self._town.auditor.note(f"{lane.name.lane} has its clock wrong by {lane.clock.offset_s} s")

    async def _put_back_a_ledger(self) -> None:
        """A backup is put back while the line is cut; later somebody comes and recovers the lane (lease rule 11). What
        was spent alone in between, nobody but the witness knows of."""
        lane = self._random.choice(self._town.lanes)
        backup, line = lane.disk.after_kill(), self._line_of(lane)
        line.up_cut = line.down_cut = True
        await asyncio.sleep(self._random.uniform(600, 3600))
        if not await lane.put_back(backup):
            return
        self._town.auditor.put_back(lane)
        line.up_cut = line.down_cut = True
        lane.boot()
        await asyncio.sleep(self._random.uniform(600, 1800))
        _mend(line)
        await asyncio.sleep(2 * POLL_S)
        await self._operators.recover(lane)

    async def _put_back_the_backend(self) -> None:
        backend = self._town.backend
        backup = backend.copy()
        await asyncio.sleep(self._random.uniform(300, 1800))
        if backend.backend is not None:
            self._town.auditor.put_back_backend()
            backend.put_back(backup)

    async def heal(self) -> None:
        """End all faults, bring everybody back, and give them time; no new sales."""
        self._town.auditor.note("healing")
        if self._town.backend.backend is None:
            self._town.backend.boot()
        for lane in self._town.lanes:
            line = self._line_of(lane)
            _mend(line)
            line.weather = CALM
            lane.clock.offset_s = 0
            lane.printer.trouble = 0
            if lane.lane is None:
                lane.boot()
            lane.restart_uplink()
        await asyncio.sleep(HEAL_S)
        for lane in self._town.lanes:
            await self._operators.recover(lane)
        await asyncio.sleep(HEAL_S)
        self._operators.refresh_snapshots()  # a backend that was put back has heard them all now

    def _line_of(self, lane: LaneProcess) -> Line:
        return self._town.network.lines[lane.name.lane]


def _mend(line: Line) -> None:
    line.up_cut = line.down_cut = False
