"""A process that is told to stop stops, whatever its parts are doing."""

import asyncio

from agent import supervision
from agent.supervision import running


async def deaf(cancellations: list[int], heard_at: int) -> None:
    """Goes on after a cancellation, as a loop does whose ``wait_for`` has swallowed it."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancellations.append(1)
            if len(cancellations) == heard_at:
                raise


def test_a_loop_that_missed_that_it_is_over_is_told_again(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(supervision, "AGAIN_S", 0.01)
    cancellations: list[int] = []

    async def live() -> None:
        async with running(deaf(cancellations, 3), asyncio.sleep(60)):
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(live(), 60))
    assert len(cancellations) == 3
