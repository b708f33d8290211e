"""An asyncio loop in virtual time: nothing waits, time jumps to the next timer, and the seed decides who is first.

The one rule: the same seed gives the same run, event for event. A loop with nothing to do and nobody to wait for is a
deadlock, and raises.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class Deadlock(RuntimeError):
    """Every task waits for another one."""


class _VirtualTime(selectors.BaseSelector):
    """Instead of waiting for files it moves the clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, 0, events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("no timer is set and nothing is ready")
        self.now_s += max(0.0, timeout)
        return []


class _OrderedTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where in memory it lies."""

    _numbers = itertools.count()

    def __init__(self, coroutine: Coroutine[Any, Any, Any], **how: Any) -> None:
        self._number = next(self._numbers)
        super().__init__(coroutine, **how)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class VirtualLoop(asyncio.SelectorEventLoop):
    """``time()`` is seconds since the start of the run. Executors run their function at once, in the loop."""

    def __init__(self, seed: int) -> None:
        self._virtual = _VirtualTime()
        super().__init__(self._virtual)
        self._chance = Random(seed)
        self._clock_resolution = 1e-6  # fine enough, and above what a float loses in a year
        _OrderedTask._numbers = itertools.count()
        self.set_task_factory(lambda loop, coroutine, **how: _OrderedTask(coroutine, loop=loop, **how))

    def time(self) -> float:
        return self._virtual.now_s

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """No threads: they would bring real time back in."""
        del executor
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def _run_once(self) -> None:
        """Whoever is ready may be first: the seed explores the interleavings."""
        ready: Any = self._ready  # type: ignore[attr-defined]  # of asyncio.base_events
        if len(ready) > 1:
            shuffled = list(ready)
            self._chance.shuffle(shuffled)
            ready.clear()
            ready.extend(shuffled)
        super()._run_once()  # type: ignore[misc]

    def _make_self_pipe(self) -> None:
        """No other thread ever wakes this loop."""
        self._ssock = self._csock = None
        self._internal_fds = 0

    def _close_self_pipe(self) -> None:
        return None

    def _write_to_self(self) -> None:
        return None


def run_virtually(seed: int, story: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    """Run ``story`` to its end in virtual time. Raises Deadlock, and whatever the story raises."""
    loop = VirtualLoop(seed)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(story())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
