"""What the backend finds out later about entries that it took: its own list of exceptions, read page by page.

The one rule: a page and where the next one begins are kept together by `run`; so no crash skips a page, and a page
that comes twice changes nothing.
"""

from typing import Final, NoReturn

from agent.uplink.backoff import Backoff
from agent.uplink.client import BackendClient
from agent.uplink.faults import BackendFault, Refused
from agent.uplink.lane_side import LaneSide
from agent.uplink.link import Link, woken

PAGE_ROWS: Final = 500
"""A page has at most so many rows; one that is not full is the last."""


class Exceptions:
    """Looks every `poll_s` seconds, when the link comes back, and when the backend says that there is something."""

    def __init__(self, lane: LaneSide, client: BackendClient, link: Link, pace: Backoff, *, poll_s: float) -> None:
        self._lane, self._client, self._link, self._pace = lane, client, link, pace
        self._news, self._poll_s = link.recovery("exceptions"), poll_s

    async def run(self) -> NoReturn:
        while True:
            await woken(self._news, await self._round())

    async def _round(self) -> float:
        """Read all pages that there are; returns the seconds to the next look."""
        try:
            while await self._page():
                pass
        except Refused:
            return self._poll_s  # a backend that has no such list tells everything with the uploads
        except BackendFault as fault:
            self._link.untimed(fault)
            return self._pace.next_s(fault.retry_after_s)
        self._link.untimed(None)
        self._pace.reset()
        return self._poll_s

    async def _page(self) -> bool:
        """Take one page; returns whether another may follow."""
        cursor = await self._lane.exceptions_cursor()
        page = await self._client.exceptions(cursor)
        if page.found or page.cursor != cursor:
            await self._lane.exceptions_found(page.found, page.cursor)
        return len(page.found) >= PAGE_ROWS and page.cursor != cursor
