"""The heartbeat: says how the lane is, asks each lender's signed time, and so finds out how the link is.

The one rule: it is the only probe. It has a sale's time budget, so a link that it calls up is one a sale can use.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NoReturn

from agent.uplink.backoff import Backoff
from agent.uplink.client import BackendClient
from agent.uplink.faults import BackendFault, Refused
from agent.uplink.lane_side import LaneReport, LaneSide, LinkState
from agent.uplink.link import Link, woken

LENDER_UNKNOWN: Final = "lender_unknown"

_log = logging.getLogger(__name__)


class Heartbeat:
    """Beats every `poll_s` seconds; more often, and at random moments, while the link is down.

    `want` is told the layers that a restored backend asks for: (lender, sequence) each; `meet` which lenders it serves.
    """

    def __init__(
        self,
        lane: LaneSide,
        client: BackendClient,
        link: Link,
        pace: Backoff,
        *,
        budget_s: float,
        poll_s: float,
        want: Callable[[Sequence[tuple[str, int]]], None] = lambda _: None,
        meet: Callable[[Sequence[str]], None] = lambda _: None,
    ) -> None:
        self._lane = lane
        self._client = client
        self._link = link
        self._pace = pace
        self._budget_s = budget_s
        self._poll_s = poll_s
        self._want, self._meet = want, meet
        self._told: LinkState | None = None
        self._asked_pause_s: int | None = None

    async def run(self) -> NoReturn:
        while True:
            await woken(self._link.probe_wanted, await self._beat())

    async def _beat(self) -> float:
        """One beat; returns the seconds to the next."""
        state, detail = await self._probe()
        if state is not self._told:
            _log.info("the link is %s", state, extra={"state": str(state), "reason": detail})
        self._told = state
        await self._lane.link(state, detail)
        if state is LinkState.DOWN:
            return self._pace.next_s(self._asked_pause_s)
        self._pace.reset()
        return self._poll_s

    async def _probe(self) -> tuple[LinkState, str]:
        self._link.probing()
        self._asked_pause_s = None
        recovering, self._link.is_recovering = self._link.is_recovering, False
        try:
            for state in await self._lane.lenders():
                recovering |= await self._ask_time_if_served(state.lender)
        except Refused as refused:
            self._link.timed(refused)
            return LinkState.REFUSED, refused.problem
        except BackendFault as fault:
            self._link.timed(fault)
            self._asked_pause_s = fault.retry_after_s
            return LinkState.DOWN, fault.message
        self._link.timed(None)
        if not self._link.breaker.lets_sales_wait:
            return LinkState.DOWN, "Sales got no answer in time."
        if recovering:
            return LinkState.RECOVERING, "The backend is recovering; sales are decided here."
        return LinkState.UP, ""

    async def _send_again(self, report: LaneReport, stored_through: Mapping[int, int]) -> None:
        """A restored backend has less than it acknowledged; without anything new to send, no upload would find out."""
        for epoch, acknowledged in report.acknowledged.items():
            if (stored := stored_through.get(epoch, 0)) < acknowledged:
                await self._lane.rewind(epoch, stored + 1)

    async def _ask_time_if_served(self, lender: str) -> bool:
        """A lender that the backend serves no more keeps the lane from no other."""
        try:
            return await self._ask_time(lender)
        except Refused as refused:
            if refused.problem != LENDER_UNKNOWN:
                raise
            _log.warning("the backend does not serve this lender", extra={"lender": lender})
            return False

    async def _ask_time(self, lender: str) -> bool:
        """Hand over the time; returns whether the backend is recovering."""
        report = await self._lane.report(lender)
        beat = await self._client.heartbeat(lender, report.nonce, report.facts, self._budget_s)
        if not await self._lane.signed_time(lender, report.nonce, beat.time):
            _log.warning("a signed time was not accepted", extra={"lender": lender})
        if beat.layers_wanted:
            self._want(beat.layers_wanted)
        if beat.lenders:
            self._meet(beat.lenders)
        if beat.stored_through is not None:
            await self._send_again(report, beat.stored_through)
        return beat.is_recovering
