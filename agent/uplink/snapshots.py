"""Keeps the credit snapshot fresh: finds new layers, downloads and checks them, offers them to `run`.

The one rule: all reading of pages happens here and not in `run`, whose sales would wait for it; `run` gets files that
only need to be moved into place, and still checks each page when it reads it.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, Protocol

from agent.uplink.backoff import Backoff
from agent.uplink.client import BackendClient, LayerRef, StackRef
from agent.uplink.faults import BackendFault, NoAnswer, Refused
from agent.uplink.lane_side import LaneSide, LayerFile, LenderState
from agent.uplink.link import Link, woken
from agent.uplink.spool import LayerRefused, Spool, SpoolFault, Verdict, check_file

_log = logging.getLogger(__name__)


class RunBlocking(Protocol):
    """Runs a function that takes long beside the loop: asyncio.to_thread, or at once in a simulation."""

    def __call__(self, function: Callable[..., Any], /, *args: Any) -> Awaitable[Any]: ...


class Snapshots:
    """Looks every `poll_s` seconds, and when the link comes back."""

    def __init__(
        self,
        lane: LaneSide,
        client: BackendClient,
        link: Link,
        pace: Backoff,
        *,
        spool: Spool,
        run_blocking: RunBlocking,
        poll_s: float,
    ) -> None:
        self._lane = lane
        self._client = client
        self._link = link
        self._pace = pace
        self._spool = spool
        self._run_blocking = run_blocking
        self._poll_s = poll_s
        self._recovered = link.recovery("snapshot", "recall")
        self._etags: dict[str, str | None] = {}
        self._had: dict[str, tuple[int, ...]] = {}

    async def run(self) -> NoReturn:
        while True:
            await woken(self._recovered, await self._round())

    async def _round(self) -> float:
        """Look at the stacks of all lenders; returns the seconds to the next look."""
        try:
            for state in await self._lane.lenders():
                await self._refresh(state)
        except BackendFault as fault:
            self._link.untimed(fault)
            return self._pace.next_s(fault.retry_after_s)
        except SpoolFault as fault:
            _log.error("%s", fault.message)
            return self._pace.next_s(self._poll_s)
        self._link.untimed(None)
        self._pace.reset()
        return self._poll_s

    async def _refresh(self, state: LenderState) -> None:
        if len(state.layers) < len(self._had.get(state.lender, ())):
            self._etags.pop(state.lender, None)  # the lane has lost what it had: bring it again, changed or not
        self._had[state.lender] = state.layers
        try:
            stack = await self._client.snapshot(state.lender, self._etags.get(state.lender))
        except Refused as refused:
            if refused.problem != "snapshot_none":
                _log.warning("no snapshot to be had", extra={"lender": state.lender, "reason": refused.problem})
            return
        if stack is not None and await self._bring(state, stack):
            self._etags[state.lender] = stack.etag

    async def _bring(self, state: LenderState, stack: StackRef) -> bool:
        """Whether there is nothing more to do about this stack."""
        if stack.sequence <= max(state.layers, default=-1):
            return True
        missing = [ref for ref in stack.layers if ref.sequence not in state.layers]
        self._spool.sweep(state.lender, missing)
        for ref in missing:
            await self._spool.fetch(self._client, state.lender, ref)
            try:
                await self._run_blocking(check_file, self._spool.place(state.lender, ref), ref, state)
            except LayerRefused as refused:
                return self._refuse(state, ref, refused)
        return await self._offer(state, stack, missing)

    def _refuse(self, state: LenderState, ref: LayerRef, refused: LayerRefused) -> bool:
        _log.warning(
            "a snapshot layer is refused: %s", refused.message, extra={"lender": state.lender, "sequence": ref.sequence}
        )
        if refused.verdict is not Verdict.LATER:
            self._spool.discard(state.lender, ref)
        if refused.verdict is Verdict.AGAIN:
            raise NoAnswer("A layer arrived damaged.") from refused
        return refused.verdict is Verdict.NEVER

    async def _offer(self, state: LenderState, stack: StackRef, missing: list[LayerRef]) -> bool:
        files = [LayerFile(ref.sequence, str(self._spool.place(state.lender, ref)), ref.sha256) for ref in missing]
        installed = await self._lane.snapshot_ready(state.lender, stack.sequence, files)
        if installed:
            self._spool.sweep(state.lender, ())
        else:
            _log.warning("a snapshot was not installed", extra={"lender": state.lender, "sequence": stack.sequence})
        return installed
