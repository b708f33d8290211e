"""The heartbeat: asks each lender's signed time, and so finds out how the link is.

The one rule: it is the only probe. It has a sale's time budget, so a link that it calls up is one a sale can use.
"""

import logging
from typing import NoReturn

from agent.uplink.backoff import Backoff
from agent.uplink.client import BackendClient
from agent.uplink.faults import BackendFault, Refused
from agent.uplink.lane_side import LaneSide, LinkState
from agent.uplink.link import Link, woken

_log = logging.getLogger(__name__)


class Heartbeat:
    """Beats every `poll_s` seconds; more often, and at random moments, while the link is down."""

    def __init__(
        self, lane: LaneSide, client: BackendClient, link: Link, pace: Backoff, *, budget_s: float, poll_s: float
    ) -> None:
        self._lane = lane
        self._client = client
        self._link = link
        self._pace = pace
        self._budget_s = budget_s
        self._poll_s = poll_s
        self._told: LinkState | None = None

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
            return self._pace.next_s()
        self._pace.reset()
        return self._poll_s

    async def _probe(self) -> tuple[LinkState, str]:
        self._link.probing()
        try:
            for state in await self._lane.lenders():
                await self._ask_time(state.lender)
        except Refused as refused:
            self._link.timed(refused)
            return LinkState.REFUSED, refused.problem
        except BackendFault as fault:
            self._link.timed(fault)
            return LinkState.DOWN, fault.message
        self._link.timed(None)
        if not self._link.breaker.lets_sales_wait:
            return LinkState.DOWN, "Sales got no answer in time."
        return LinkState.UP, ""

    async def _ask_time(self, lender: str) -> None:
        request = await self._lane.time_request(lender)
        data = await self._client.heartbeat(lender, request.nonce, request.queue_depth, self._budget_s)
        if not await self._lane.signed_time(lender, request.nonce, data):
            _log.warning("a signed time was not accepted", extra={"lender": lender})
