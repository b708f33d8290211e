"""Reads wait while the consumer is busy, in their order, and what has waited too long is forgotten with a word."""

from __future__ import annotations

import pytest

from drivers.device import Scan
from drivers.scanners.data_queue import AGE_MAX_S, WAITING_MAX, DataQueue


class Consumer:
    def __init__(self, one_at_a_time: bool = True) -> None:
        self.took: list[bytes] = []
        self.forgotten: list[bytes] = []
        self.takes = True
        self.queue = DataQueue(self._take, lambda scan: self.forgotten.append(scan.raw), one_at_a_time=one_at_a_time)

    def _take(self, scan: Scan) -> bool:
        self.took += [scan.raw] if self.takes else []
        return self.takes

    def read(self, raw: bytes, at_s: float = 0.0) -> None:
        self.queue.put(Scan(raw, None, "gun", at_s))


def test_one_read_at_a_time_and_none_is_lost() -> None:
    pos = Consumer()
    for raw in (b"1", b"2", b"3"):
        pos.read(raw)
    assert (pos.took, pos.queue.data_count) == ([b"1"], 2)
    pos.queue.enable(1.0)
    pos.queue.enable(2.0)
    pos.queue.enable(3.0)
    assert pos.took == [b"1", b"2", b"3"]
    pos.read(b"4", 4.0)
    assert pos.took[-1] == b"4"


def test_a_consumer_that_takes_all_at_once_never_enables() -> None:
    pos = Consumer(one_at_a_time=False)
    for raw in (b"1", b"2", b"3"):
        pos.read(raw)
    assert pos.took == [b"1", b"2", b"3"]


def test_what_waited_too_long_belongs_to_a_sale_that_is_over() -> None:
    pos = Consumer()
    pos.read(b"now", 0.0)
    pos.read(b"old", 0.0)
    pos.read(b"young", AGE_MAX_S)
    pos.queue.enable(AGE_MAX_S + 1)
    assert (pos.took, pos.forgotten) == ([b"now", b"young"], [b"old"])


def test_the_oldest_makes_room() -> None:
    pos = Consumer()
    for number in range(WAITING_MAX + 3):
        pos.read(b"%d" % number)
    assert pos.queue.data_count == WAITING_MAX
    assert pos.forgotten == [b"1", b"2"]


def test_a_read_that_nobody_took_does_not_stop_the_next() -> None:
    pos = Consumer()
    pos.takes = False
    pos.read(b"lost")
    pos.takes = True
    pos.read(b"next")
    assert pos.took == [b"next"]


@pytest.mark.parametrize("one_at_a_time", [True, False])
def test_a_consumer_may_enable_from_inside_of_its_own_event(one_at_a_time: bool) -> None:
    took: list[bytes] = []

    def take(scan: Scan) -> bool:
        took.append(scan.raw)
        queue.enable(0.0)
        return True

    queue = DataQueue(take, lambda _: None, one_at_a_time=one_at_a_time)
    queue.put(Scan(b"1", None, "gun", 0.0))
    queue.put(Scan(b"2", None, "gun", 0.0))
    assert took == [b"1", b"2"]


def test_clearing_forgets_without_a_word() -> None:
    pos = Consumer()
    pos.read(b"1")
    pos.read(b"2")
    pos.queue.clear()
    pos.queue.enable(1.0)
    assert (pos.took, pos.forgotten) == ([b"1"], [])
