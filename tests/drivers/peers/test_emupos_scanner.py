"""Our serial scanner on a till that others wrote: emupos plays the scanner on a port of its own."""

from __future__ import annotations

import pytest

from drivers.device import DataEvent
from drivers.registry import open_scanner
from tests.drivers.conftest import Events
from tests.drivers.peers.till import Till

pytestmark = pytest.mark.proof


def test_codes_scanned_elsewhere_arrive_and_say_which_article_it_is(till: Till, events: Events) -> None:
    scanner = open_scanner("gun", f"serial:{till.gun_port}", {"suffix": "cr"}, on_event=events.put)
    codes = ["4006381333931", "]C1010690123456789210ABC", "hQVDUFYwMQ+/=" * 20]
    for code in codes:
        till.scan(code)
    assert events.codes(3, 10) == [
        (b"4006381333931", None),
        (b"010690123456789210ABC", "]C1"),
        (codes[2].encode(), None),
    ]
    said = [event.scan.article for event in events.seen if isinstance(event, DataEvent)]
    assert [article and article.gtin for article in said] == ["04006381333931", "06901234567892", None]
    assert said[1] is not None
    assert said[1].batch == "ABC"
    scanner.close()


def test_when_the_till_is_switched_off_the_scanner_says_so(till: Till, events: Events) -> None:
    scanner = open_scanner("gun", f"serial:{till.gun_port}", {}, on_event=events.put)
    till.switch_off()
    events.until(lambda _: scanner.state.name == "failed", 5)
    assert scanner.state.reason in ("lost", "unreachable")
    scanner.close()
