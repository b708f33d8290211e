"""Lenders that joined the backend after this lane was enrolled: fetches who introduces them, and their keys.

The one rule: nobody is asked for whom the heartbeat did not name, and nothing is believed here: `run` judges the
introduction. What was not taken is asked for again with the next heartbeat.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import NoReturn

from agent.uplink.client import BackendClient
from agent.uplink.faults import BackendFault
from agent.uplink.lane_side import DocumentKind, LaneSide
from agent.uplink.link import Link

_log = logging.getLogger(__name__)


class Newcomers:
    """`meet` is how the heartbeat hands on which lenders the backend serves."""

    def __init__(self, lane: LaneSide, client: BackendClient, link: Link) -> None:
        self._lane, self._client, self._link = lane, client, link
        self._served: frozenset[str] = frozenset()
        self._named = asyncio.Event()

    def meet(self, served: Sequence[str]) -> None:
        self._served = frozenset(served)
        self._named.set()

    async def run(self) -> NoReturn:
        while True:
            await self._named.wait()
            self._named.clear()
            unknown = self._served - {state.lender for state in await self._lane.lenders()}
            try:
                for lender, introduction in await self._client.lenders() if unknown else ():
                    if lender in unknown:
                        await self._introduce(lender, introduction)
            except BackendFault as fault:
                self._link.untimed(fault)
                _log.warning("a new lender is not known yet: %s", fault.message)

    async def _introduce(self, lender: str, introduction: bytes) -> None:
        keys = await self._client.document(DocumentKind.KEYS, lender, None)
        if keys is not None and await self._lane.introduced(introduction, keys.content):
            _log.info("a new lender is served", extra={"lender": lender})
            self._link.wake("policy")
            self._link.wake("snapshot")
