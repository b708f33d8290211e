"""The link as the whole uplink sees it: the breaker, who is told when it changes, and how loops wait.

The one rule: only calls under a sale's time budget count as failures or successes; a slow upload says nothing about how
long a sale would wait. That there is no connection at all, every call may say.
"""

import asyncio
from typing import Final

from agent.uplink.breaker import Breaker, Event, State
from agent.uplink.faults import BackendFault, Busy, NotReached, Refused

RECOVERING: Final = "recovering"
"""Problem of a backend that was restored from a backup and has not heard all lanes yet (lease rule 13)."""


class Link:
    """Holds the breaker. `probe_wanted` is set when the heartbeat should look at once; `is_recovering` when a sale was
    told so since the last beat."""

    def __init__(self, failures_max: int) -> None:
        self.breaker = Breaker(failures_max)
        self.probe_wanted = asyncio.Event()
        self.is_recovering = False
        self._wakeable: list[tuple[asyncio.Event, frozenset[str]]] = []

    def recovery(self, *topics: str) -> asyncio.Event:
        """An event of one's own that is set whenever the link comes back, or there is news of one of the topics."""
        event = asyncio.Event()
        self._wakeable.append((event, frozenset(topics)))
        return event

    def wake(self, topic: str) -> None:
        """The backend says that there is news: whoever waits for the topic looks at once."""
        for event, topics in self._wakeable:
            if topic in topics:
                event.set()

    def probing(self) -> None:
        self._step(Event.PROBE)

    def timed(self, fault: BackendFault | None) -> None:
        """What became of a call that had a sale's budget. A refusal is an answer: the backend is there.

        So is a backend that says that it is recovering: it answered at once, and the heartbeat tells all sales.
        """
        if isinstance(fault, Busy) and fault.problem == RECOVERING:
            self.is_recovering = True
            self.probe_wanted.set()
            return
        if fault is None or isinstance(fault, Refused):
            self._step(Event.SUCCESS)
        else:
            self._step(Event.NOT_REACHED if isinstance(fault, NotReached) else Event.FAILURE)

    def untimed(self, fault: BackendFault | None) -> None:
        """What became of a call that may take its time."""
        if isinstance(fault, NotReached):
            self._step(Event.NOT_REACHED)
        elif fault is None and self.breaker.state is State.OPEN:
            self.probe_wanted.set()

    def _step(self, event: Event) -> None:
        before = self.breaker.state
        self.breaker = self.breaker.after(event)
        if before is State.CLOSED and self.breaker.state is State.OPEN:
            self.probe_wanted.set()
        if before is not State.CLOSED and self.breaker.state is State.CLOSED:
            for recovered, _ in self._wakeable:
                recovered.set()


async def woken(event: asyncio.Event, within_s: float) -> None:
    """Return when the event is set or the time is over; the event is clear then."""
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()
