"""Whether the backend serves this lane at all, as its answers tell, and telling `run` of it.

The one rule: the newest word counts. A refusal of the lane itself may come with any call; that it is served again, only
a heartbeat says, because a refused lane may still send its journal.
"""

import asyncio
from typing import NoReturn, Protocol

from agent.uplink.faults import ACCESS_REFUSALS


class TellsLane(Protocol):
    """The part of `LaneSide` that is needed here."""

    async def access(self, refusal: str | None) -> None: ...


class Access:
    """What the backend said last: one of ACCESS_REFUSALS, or None for a lane that is served; before any word, nothing.

    `news` is set when there is something to tell, `expired` when a renewal of the certificate cannot wait.
    """

    def __init__(self) -> None:
        self.refusal: str | None = None
        self.is_known = False
        self.news = asyncio.Event()
        self.expired = asyncio.Event()

    def refused(self, problem: str) -> None:
        """Any call was refused; only what concerns the lane itself counts."""
        if problem in ACCESS_REFUSALS:
            self._heard(problem)

    def served(self) -> None:
        """A call succeeded that is for a lane in good standing only."""
        self._heard(None)

    def _heard(self, refusal: str | None) -> None:
        if not self.is_known or refusal != self.refusal:
            self.is_known, self.refusal = True, refusal
            self.news.set()
            if refusal == "certificate_expired":
                self.expired.set()


class AccessTold:
    """Tells one lane what is known when its channel opens, and then whatever changes, once each."""

    def __init__(self, lane: TellsLane, access: Access) -> None:
        self._lane, self._access = lane, access

    async def run(self) -> NoReturn:
        access = self._access
        if access.is_known:
            access.news.set()
        while True:
            await access.news.wait()
            access.news.clear()
            await self._lane.access(access.refusal)
