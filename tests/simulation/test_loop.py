"""Virtual time: nothing waits, the seed decides, and a story that cannot go on says so."""

import asyncio
import time

import pytest

from agent.simulation.loop import Deadlock, run_virtually


async def order_of_ten() -> list[int]:
    done: list[int] = []

    async def one(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    await asyncio.gather(*(one(number) for number in range(10)))
    return done


def test_a_year_passes_at_once() -> None:
    async def year() -> float:
        await asyncio.sleep(365 * 86_400)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run_virtually(1, year) >= 365 * 86_400
    assert time.monotonic() - began < 60


def test_the_seed_decides_who_is_first() -> None:
    assert run_virtually(1, order_of_ten) == run_virtually(1, order_of_ten)
    assert len({tuple(run_virtually(seed, order_of_ten)) for seed in range(8)}) > 4


def test_waiting_for_nobody_is_a_deadlock() -> None:
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        run_virtually(1, wait_for_ever)


def test_an_executor_runs_in_the_loop() -> None:
    async def here() -> bool:
        return await asyncio.get_running_loop().run_in_executor(None, lambda: True)

    assert run_virtually(1, here)
