"""How long a process lives: until it is told to stop, or until a part of it is broken and it must start over.

The one rule: a part that ends for a reason nobody foresaw ends the process. The init system starts it anew, and what
counts is on the disk; selling on without the part would be worse.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

from agent.errors import CounterfoilError
from agent.machine import notify

LOG: Final = logging.getLogger(__name__)
HEARTBEAT_S: Final = 0.2
"""How often a process looks whether it must end, and tells the watchdog that its loop goes round."""

AGAIN_S: Final = 1.0


@contextlib.asynccontextmanager
async def running(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """The loops as tasks; cancelled at the end, until the last has heard it: Python 3.11's ``wait_for`` swallows a
    cancellation that comes in the moment in which what it waits for is there."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield tasks
    finally:
        while left := [task for task in tasks if not task.done()]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=AGAIN_S)
        await asyncio.gather(*tasks, return_exceptions=True)


async def kept_up(loop: Callable[[], Awaitable[object]]) -> None:
    """Begin a loop again after a fault: a disk that was full for a minute must not end printing for the day."""
    while True:
        try:
            await loop()
            return
        except CounterfoilError as fault:
            LOG.error("%s", fault.message, extra={"code": fault.code})
        await asyncio.sleep(AGAIN_S)


async def until_stopped(
    stop: asyncio.Event, tasks: Sequence[asyncio.Task[None]], broken: Callable[[], str | None] = lambda: None
) -> int:
    """Tell the init system that all is well until it is not. The exit code: 0 when told to stop, else 1."""
    notify("READY=1")
    reason = None
    while not stop.is_set() and reason is None:
        notify("WATCHDOG=1")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), HEARTBEAT_S)
        reason = broken() or next(filter(None, map(_fault, tasks)), None)
    notify("STOPPING=1")
    if reason is not None:
        LOG.critical("starting over: %s", reason)
    return 0 if reason is None else 1


def _fault(task: asyncio.Task[None]) -> str | None:
    if not task.done() or task.cancelled() or task.exception() is None:
        return None
    LOG.critical("internal fault", exc_info=task.exception())
    return "a part of this process ended that must not"
