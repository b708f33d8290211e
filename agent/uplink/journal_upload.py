"""Store and forward, the forwarding half: one loop that brings the lane's entries to the backend, in order.

The one rule: the uplink remembers nothing. Each upload is asked of `run`, which knows what is acknowledged; so a lost
answer, a crash of either side or a restart only makes it send the same bytes again, and the backend calls them
duplicates. Nothing is ever skipped. Entries of older epochs have a loop of their own, which never holds up today's.
"""

import asyncio
import logging
from typing import Final, NoReturn

from agent.uplink.answers import Shapeless, decode_base64url
from agent.uplink.backoff import Backoff
from agent.uplink.client import BackendClient, Uploaded
from agent.uplink.faults import BackendFault, Refused
from agent.uplink.lane_side import UPLOAD_BYTES_MAX, LaneSide, Upload
from agent.uplink.link import Link, woken

REFUSED_PAUSE_S: Final = 30.0
"""A refusal that is neither gap nor fork needs people; looking twice a minute is enough."""

_log = logging.getLogger(__name__)


class JournalUpload:
    """The single drainer of today's epoch, or of all `older` ones. `poked`: there are new entries."""

    def __init__(
        self,
        lane: LaneSide,
        client: BackendClient,
        link: Link,
        pace: Backoff,
        *,
        lane_id: str,
        entries_max: int,
        poll_s: float,
        poked: asyncio.Event,
        older: bool = False,
    ) -> None:
        self._lane = lane
        self._client = client
        self._link = link
        self._pace = pace
        self._lane_id = lane_id
        self._entries_max = entries_max
        self._poll_s = poll_s
        self._poked = poked
        self._older = older
        self._recovered = link.recovery()

    async def run(self) -> NoReturn:
        while True:
            self._poked.clear()  # before asking: an entry committed after the answer pokes again
            upload = await self._lane.next_upload(self._entries_max, UPLOAD_BYTES_MAX, older=self._older)
            if upload is None:
                await woken(self._poked, self._poll_s)
            elif pause_s := await self._bring(upload):
                await woken(self._recovered, pause_s)

    async def _bring(self, upload: Upload) -> float:
        """Send one upload; returns the seconds to pause before the next."""
        try:
            uploaded = await self._client.journal(self._lane_id, upload)
        except Refused as refused:
            return await self._refused(upload, refused)
        except BackendFault as fault:
            self._link.untimed(fault)
            return self._pace.next_s(fault.retry_after_s)
        self._link.untimed(None)
        return await self._acknowledge(upload, uploaded)

    async def _acknowledge(self, upload: Upload, uploaded: Uploaded) -> float:
        if uploaded.through < upload.first:
            _log.warning("the backend took an upload and acknowledged nothing", extra={"number": uploaded.through})
            return self._pace.next_s()
        await self._lane.acknowledged(upload.epoch, uploaded.through, uploaded.results)
        self._pace.reset()
        return 0.0

    async def _refused(self, upload: Upload, refused: Refused) -> float:
        expected = refused.fields.get("expected")
        number = expected if type(expected) is int and expected >= 1 else None
        _log.warning("journal refused", extra={"reason": refused.problem, "epoch": upload.epoch, "number": number})
        if refused.problem == "journal_gap" and number is not None and await self._lane.rewind(upload.epoch, number):
            return self._pace.next_s()
        if refused.problem in ("journal_gap", "journal_fork"):
            # Somebody else used this lane's numbers: `run` gives no more of this epoch until people have decided.
            await self._lane.fork(upload.epoch, number, _head(refused))
            return 0.0
        return self._pace.next_s(REFUSED_PAUSE_S)


def _head(refused: Refused) -> bytes | None:
    try:
        return decode_base64url(refused.fields.get("head"))
    except Shapeless:
        return None
