"""Keeps key lists and policies fresh: asks for newer versions and hands the bytes to `run`.

The one rule: an ETag is remembered only once `run` has the document in force, so whatever goes wrong on the way is
asked for again. Keys come first, because the others are judged by them.
"""

import logging
from typing import NoReturn

from agent.uplink.backoff import Backoff
from agent.uplink.client import BackendClient
from agent.uplink.faults import BackendFault, Refused
from agent.uplink.lane_side import DocumentKind, LaneSide
from agent.uplink.link import Link, woken

_log = logging.getLogger(__name__)


class Documents:
    """Looks every `poll_s` seconds, and when the link comes back."""

    def __init__(self, lane: LaneSide, client: BackendClient, link: Link, pace: Backoff, *, poll_s: float) -> None:
        self._lane = lane
        self._client = client
        self._link = link
        self._pace = pace
        self._poll_s = poll_s
        self._recovered = link.recovery("keys", "policy")
        self._etags: dict[tuple[DocumentKind, str], str | None] = {}

    async def run(self) -> NoReturn:
        while True:
            await woken(self._recovered, await self._round())

    async def _round(self) -> float:
        """Look at all documents of all lenders; returns the seconds to the next look."""
        try:
            for state in await self._lane.lenders():
                for kind in DocumentKind:
                    await self._refresh(kind, state.lender)
        except BackendFault as fault:
            self._link.untimed(fault)
            return self._pace.next_s(fault.retry_after_s)
        self._link.untimed(None)
        self._pace.reset()
        return self._poll_s

    async def _refresh(self, kind: DocumentKind, lender: str) -> None:
        try:
            newer = await self._client.document(kind, lender, self._etags.get((kind, lender)))
        except Refused as refused:
            _log.warning("no %s to be had", kind, extra={"lender": lender, "reason": refused.problem})
            return
        if newer is None:
            return
        if await self._lane.document(kind, lender, newer.content):
            self._etags[kind, lender] = newer.etag
        else:
            _log.warning("a new %s was not accepted", kind, extra={"lender": lender})
