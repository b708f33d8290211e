"""What every scanner keeps to, however it is connected: one list of promises, on stand-ins and at others' programs."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from drivers.device import DataEvent, StatusUpdateEvent
from drivers.errors import LifeCycleError
from drivers.remedies import REMEDIES
from tests.drivers.conftest import Events
from tests.drivers.contracts.guns import Gun, HalfwayGun


def raws(events: Events, count: int) -> list[bytes]:
    return [raw for raw, _ in events.codes(count)]


def test_a_code_arrives_once_byte_for_byte_with_who_read_it_and_when(gun: Gun, events: Events) -> None:
    began_s = time.monotonic()
    scanner = gun.listen(events.put)
    for text in ("4006381333931", "hQVDUFYwMQ+/=:xyz"):
        gun.scan(text)
        events.until(lambda seen, text=text: any(scanned(event) == text.encode() for event in seen))
    assert raws(events, 2) == [b"4006381333931", b"hQVDUFYwMQ+/=:xyz"]
    scans = [event.scan for event in events.seen if isinstance(event, DataEvent)]
    assert {scan.device for scan in scans} == {"gun"}
    assert began_s < scans[0].monotonic_s <= scans[1].monotonic_s <= time.monotonic()
    assert scanner.statistics.snapshot()["good_scan_count"] == 2
    scanner.close()


def scanned(event: object) -> bytes | None:
    return event.scan.raw if isinstance(event, DataEvent) else None


def test_after_unplug_and_replug_it_reads_again_without_a_restart_and_told_each_change_once(
    gun: Gun, events: Events
) -> None:
    scanner = gun.listen(events.put)
    gun.scan("before")
    assert raws(events, 1) == [b"before"]
    gun.unplug()
    events.until(lambda _: scanner.state.name == "failed")
    assert scanner.check_health().text == REMEDIES[scanner.state.reason].en
    assert REMEDIES[scanner.state.reason].zh
    gun.replug()
    scanner.try_now()
    events.until(lambda _: scanner.state.name == "enabled")
    gun.scan("after")
    assert raws(events, 2) == [b"before", b"after"]
    told = [(e.state.name, e.state.reason) for e in events.seen if isinstance(e, StatusUpdateEvent)]
    assert all(one != following for one, following in pairwise(told))
    assert told[-1] == ("enabled", "")
    assert scanner.statistics.snapshot()["reconnect_count"] >= 1
    scanner.close()


@pytest.mark.parametrize("gun", ["our port", "socat's cable", "typing", "reports"], indirect=True)
def test_a_plug_pulled_in_mid_code_leaves_none_of_it_to_the_next(gun: HalfwayGun, events: Events) -> None:
    scanner = gun.listen(events.put)
    gun.scan_half("4006381333931")
    time.sleep(0.05)
    gun.unplug()
    events.until(lambda _: scanner.state.name == "failed")
    gun.replug()
    scanner.try_now()
    events.until(lambda _: scanner.state.name == "enabled")
    gun.scan("6901234567892")
    assert raws(events, 1) == [b"6901234567892"]
    scanner.close()


def test_while_the_till_is_busy_reads_wait_in_their_order(gun: Gun, events: Events) -> None:
    scanner = gun.listen(events.put, one_at_a_time=True)
    for number, text in enumerate(("first", "second"), 1):
        gun.scan(text)
        events.until(lambda _, n=number: scanner.statistics.snapshot()["good_scan_count"] == n)
    assert raws(events, 1) == [b"first"]
    assert scanner.data_count == 1
    scanner.enable_data()
    assert raws(events, 2) == [b"first", b"second"]
    scanner.close()


def test_closed_it_is_silent_and_its_thread_is_gone(gun: Gun, events: Events) -> None:
    scanner = gun.listen(events.put)
    scanner.close()
    assert scanner.state.name == "closed"
    assert not scanner._thread.is_alive()
    with pytest.raises(LifeCycleError):
        scanner.enable()
    scanner.close()
    assert not [event for event in events.drain() if isinstance(event, DataEvent)]
