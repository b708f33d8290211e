"""A till that others made: emupos plays a printer on the network, one on a serial port, and a scanner.

The one rule: each till is alone on this machine (an address and names of its own), so that tests may run side by side.
"""

from __future__ import annotations

import http
import json
import os
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from agent.demo.props import free_port

EMUPOS: Final = Path(__file__).parents[3] / ".venv/emupos/bin/emupos"
MISSING: Final = "emupos, which needs Python 3.13, is not installed: `make services`"
PRINTER_PORT: Final = 9100
"""The only port that receiptio knows."""
_START_S: Final = 120.0
_PRINTED_S: Final = 60.0
_END_S: Final = 60.0


def own_loopback_address() -> str:
    """One of 127.0.0.0/8 that no other test listens on."""
    return f"127.{1 + os.getpid() % 250}.{secrets.randbelow(250)}.{1 + secrets.randbelow(250)}"


class Till:
    """The running emupos. `gun_port` is where its scanner sends, `printers` maps "tcp" and "serial" to addresses."""

    def __init__(self, folder: Path) -> None:
        name = secrets.token_hex(3)
        self.host = own_loopback_address()
        port = free_port()
        self._api = f"http://127.0.0.1:{port}/api/v1"
        self._gun, self._printers = f"gun-{name}", {"tcp": f"net-{name}", "serial": f"com-{name}"}
        pty, net = {"serial": {"pty": True}}, {"tcp": {"host": self.host, "port": PRINTER_PORT}}
        devices = [
            {"id": self._gun, "type": "scanner", "mode": "serial", "connections": [pty]},
            *(
                {"id": self._printers[line], "type": "printer", "profile": "epson-tm-t20iii", "connections": [way]}
                for line, way in (("tcp", net), ("serial", pty))
            ),
        ]
        self._folder, self._links = folder, list[Path]()
        (folder / "emupos.yaml").write_text(
            json.dumps({"schema": 1, "api": {"host": "127.0.0.1", "port": port}, "devices": devices})
        )
        self.switch_on()
        ports = {one["id"]: str(one["connections"][0]["link_path"]) for one in self._ask("/devices")}
        self.gun_port, serial_port = ports[self._gun], ports[self._printers["serial"]]
        self._links = [Path(self.gun_port), Path(serial_port)]
        self.printers = {"tcp": f"tcp:{self.host}:{PRINTER_PORT}", "serial": f"serial:{serial_port}"}

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

    def set_fault(self, line: str, fault: str) -> None:
        """paper-near-end, paper-out, cover-open or offline."""
        self._ask(f"/devices/{self._printers[line]}/faults/{fault}", method="PUT")

    def clear_fault(self, line: str, fault: str) -> None:
        """The roll was changed, the cover closed; what the printer kept is printed."""
        self._ask(f"/devices/{self._printers[line]}/faults/{fault}", method="DELETE")

    def close_drawer(self, line: str) -> None:
        """Pushes the drawer on that printer's socket shut."""
        self._ask(f"/devices/{self._printers[line]}/drawer/close", method="POST")

    def slips(self, line: str, count: int) -> list[tuple[str, Path]]:
        """Text and picture of each slip, the oldest first. Raises AssertionError when it is another number."""
        deadline_s, found = time.monotonic() + _PRINTED_S, []
        while len(found) < count and time.monotonic() < deadline_s:
            found = self._ask(f"/devices/{self._printers[line]}/receipts")
            time.sleep(0.05)
        slips = [(self._text(line, slip["id"]), self._picture(slip["id"])) for slip in reversed(found)]
        assert len(slips) == count, slips
        return slips

    def switch_on(self) -> None:
        """Under the same addresses each time (a number of /dev/pts would be another's tomorrow); returns when ready."""
        self._process = subprocess.Popen(
            [EMUPOS.with_name("python"), EMUPOS, "run"],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + _START_S
        while not self._is_ready():
            if time.monotonic() > deadline_s or self._process.poll() is not None:
                self.switch_off()
                raise AssertionError("emupos did not start")
            time.sleep(0.1)

    def switch_off(self) -> None:
        """No printer, no scanner, no port of either."""
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:  # then it has not taken its links away, and they would become another's port
            self._process.kill()
            self._process.wait()
        for link in self._links:
            link.unlink(missing_ok=True)

    close = switch_off

    def _text(self, line: str, slip: str) -> str:
        with urllib.request.urlopen(f"{self._api}/devices/{self._printers[line]}/receipts/{slip}/text") as answer:
            return str(answer.read().decode())

    def _picture(self, slip: str) -> Path:
        return self._folder / "receipts" / f"{slip}.png"

    def _is_ready(self) -> bool:
        try:
            return all(Path(one["connections"][0]["link_path"] or "/").exists() for one in self._ask("/devices"))
        except (OSError, IndexError, KeyError):
            return False

    def _ask(self, path: str, body: dict[str, str] | None = None, method: str | None = None) -> Any:
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self._api + path, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = answer.read()
        return json.loads(said) if said else None
