"""Our serial scanner on a till that others wrote: emupos plays the scanner on a port of its own."""

from __future__ import annotations

import http
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.device import DataEvent
from drivers.registry import open_scanner
from tests.drivers.conftest import Events

EMUPOS = Path(__file__).parents[3] / ".venv/emupos/bin/emupos"
pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(
        not EMUPOS.exists(), reason="emupos, which needs Python 3.13, is not installed: `make services`"
    ),
]
START_S = 30.0


class Till:
    """The running emupos: where its scanner's port is, and how to scan with it."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._api = f"http://127.0.0.1:{free.getsockname()[1]}/api/v1"
        host, port = self._api.split("/")[2].split(":")
        gun = {"id": f"gun-{port}", "type": "scanner", "mode": "serial", "connections": [{"serial": {"pty": True}}]}
        config = folder / "emupos.yaml"
        config.write_text(json.dumps({"schema": 1, "api": {"host": host, "port": int(port)}, "devices": [gun]}))
        self._process = subprocess.Popen(
            [EMUPOS, "run", "--config", config], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._gun = str(gun["id"])
        self.port = self._when_started()

    def scan(self, code: str) -> None:
        """Waits for the scan before, which takes its time as on a real line."""
        while True:
            try:
                self._ask(f"/devices/{self._gun}/scans", {"data": code})
            except urllib.error.HTTPError as refusal:
                if refusal.code != http.HTTPStatus.CONFLICT:
                    raise
                time.sleep(0.05)
            else:
                return

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def _when_started(self) -> str:
        deadline_s = time.monotonic() + START_S
        while True:
            try:
                return str(self._ask("/devices")[0]["connections"][0]["device_path"])
            except (OSError, IndexError, KeyError):
                assert time.monotonic() < deadline_s, "emupos did not start"
                time.sleep(0.1)

    def _ask(self, path: str, body: dict[str, str] | None = None) -> Any:
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self._api + path, data, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    running = Till(tmp_path)
    yield running
    running.close()


def test_codes_scanned_elsewhere_arrive_and_say_which_article_it_is(till: Till, events: Events) -> None:
    scanner = open_scanner("gun", f"serial:{till.port}", {"suffix": "cr"}, on_event=events.put)
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
    scanner = open_scanner("gun", f"serial:{till.port}", {}, on_event=events.put)
    till.close()
    events.until(lambda _: scanner.state.name == "failed", 5)
    assert scanner.state.reason in ("lost", "unreachable")
    scanner.close()
