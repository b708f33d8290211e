"""The shop around a lane's two units: backend, phones, scanner, printer, and a till that remembers every answer.

The rule: an answer that was given is the answer for good; each is kept as it was given, to be compared with what the
lane says later. Runs in the machine of the smoke test, as root.
"""

import contextlib
import io
import json
import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

from agent.demo.props import DemoFailed, Phone, command, wait_for
from agent.errors import AgentNotRunning
from agent.local.client import LocalClient
from backend.cli import main as backend_main
from drivers.virtual.printer import VirtualPrinter
from drivers.virtual.scanner import VirtualScanner

DAEMON, UPLINK = "counterfoil.service", "counterfoil-uplink.service"
LANE = "lane-01"
SOCKET = Path("/run/counterfoil/agent.sock")
SHOP = Path("/srv/shop")
PORT = 8443
ACCOUNTS = 20  # each buys five times in ten minutes at most, and a fast machine sells more in the same time
LIMIT_MINOR = 200_000
AMOUNT_MINOR = 100
INTERRUPTED = "68"
ANSWER = ("sale_id", "state", "mode", "amount", "response_code", "authorization_code")


class Lane:
    """What the cashier has: a till, a scanner, a printer, and customers with their phones."""

    def __init__(self, phones: list[Phone]) -> None:
        self.phones = phones
        self.printer = VirtualPrinter(SHOP / "slips")
        self.scanner = VirtualScanner(SHOP / "scanner")
        os.chown(self.scanner.path, pwd.getpwnam("counterfoil").pw_uid, -1)
        self.client = LocalClient(SOCKET, timeout_s=10)
        self.answers: dict[str, dict[str, Any]] = {}
        self.interrupted: set[str] = set()
        self.faults: list[str] = []

    def sell(self) -> None:
        """One sale as a till makes it: the same sale id until there is an answer, whatever happens meanwhile."""
        sale_id = f"sale-{len(self.answers):05d}"
        self.answers[sale_id] = wait_for(f"an answer for {sale_id}", lambda: self._attempt(sale_id), 180)

    def _attempt(self, sale_id: str) -> dict[str, Any] | None:
        try:
            body = {"sale_id": sale_id, "amount": {"minor": AMOUNT_MINOR, "currency": "CNY"}}
            view = self.client.post("/v1/sales", body)
            if view["state"] == "asking":
                self.interrupted.add(sale_id)
            if view.get("waiting_for_code"):
                phone = self.phones[len(self.answers) % len(self.phones)]
                self.scanner.scan(phone.code().encode())
            if view["state"] != "approved":
                view = self.client.get(f"/v1/sales/{sale_id}?wait_s=1&after_attempt={view['attempt']}")
        except (AgentNotRunning, TimeoutError):
            return None
        if view["state"] == "declined" and view["response_code"] != INTERRUPTED:
            raise DemoFailed(f"{sale_id} was declined: {view['response_code']} {view['reason']}")
        return {name: view[name] for name in ANSWER} if view["state"] == "approved" else None

    def compare(self, when: str) -> None:
        """Every answer that was given is still the lane's answer."""
        for sale_id, given in self.answers.items():
            view = self.client.get(f"/v1/sales/{sale_id}")
            now = {name: view.get(name) for name in ANSWER}
            if now != given:
                self.faults.append(f"{when}: {given} became {now}")

    def status(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.client.get("/v1/status")
        except AgentNotRunning:
            return None
        return found

    def is_online(self) -> bool:
        status = self.status()
        return bool(status and status["link"]["up"] and status["clock"]["trusted"])

    def is_ready(self) -> bool:
        status = self.status()
        return bool(status and self.is_online() and status["lenders"][0]["snapshot_sequence"])

    def is_drained(self) -> bool:
        status = self.status()
        return bool(status and status["queue"]["depth"] == 0)

    def is_printed(self) -> bool:
        status = self.status()
        return bool(status and status["print_jobs_waiting"] == 0)


# -- it opens -------------------------------------------------------------------------------------------------------


def open_shop(faults: list[str]) -> Lane:
    run("systemd-sysusers")
    run("systemd-tmpfiles", "--create", "counterfoil.conf")
    run("systemctl", "start", DAEMON, UPLINK)
    faults += [f"not enrolled, {unit} is {state(unit)}" for unit in (DAEMON, UPLINK) if state(unit) != "inactive"]
    backend("init")
    accounts = [backend("account", "add", "--limit-minor", str(LIMIT_MINOR))["account"] for _ in range(ACCOUNTS)]
    code = backend("enroll-code", "--lane", LANE)["code"]
    serve = command("counterfoil-backend", "serve", "--dir", str(SHOP / "backend"), "--port", str(PORT))
    run("systemd-run", "--quiet", "--unit=shop-backend", *serve, "--refresh-s", "1")
    lane = Lane([Phone.load(SHOP / "backend" / "phones" / f"{account}.json") for account in accounts])
    write_config(lane)
    let_hang()
    wait_for("enrollment", lambda: enroll(code), 60)
    run("systemctl", "start", DAEMON, UPLINK)
    wait_for("the lane is ready", lane.is_ready, 120)
    return lane


def backend(*arguments: str) -> Any:
    """A verb of the backend while its server is stopped, in this process: starting another costs half a second."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        backend_main([*arguments, "--dir", str(SHOP / "backend"), "--json"])
    return json.loads(said.getvalue())


def enroll(code: str) -> bool:
    """Enrollment writes the keys, so the daemon's user does it."""
    line = ["runuser", "--user=counterfoil", "--", *command("counterfoil", "enroll", "--code", code)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return done.returncode == 0


def write_config(lane: Lane) -> None:
    path = Path("/etc/counterfoil/agent.toml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"""[backend]
url = "https://localhost:{PORT}"
[scanner.counter]
address = "serial:{lane.scanner.path}"
[printer]
address = "{lane.printer.address}"
[limits]
free_space_min_mb = 50
[uplink]
poll_s = 1
backoff_max_s = 1
"""
    )


def let_hang() -> None:
    """From now on SIGUSR1 stops the main thread of the daemon, and that thread only, wherever it is."""
    folder, drop_in = SHOP / "hang", Path("/run/systemd/system") / f"{DAEMON}.d"
    for made in (folder, drop_in):
        made.mkdir(parents=True)
    text = "import signal, time\nsignal.signal(signal.SIGUSR1, lambda *_: time.sleep(3600))\n"
    (folder / "sitecustomize.py").write_text(text)
    (drop_in / "hang.conf").write_text(f"[Service]\nEnvironment=PYTHONPATH={folder}\n")
    run("systemctl", "daemon-reload")


# -- the init ------------------------------------------------------------------------------------------------------


def run(*line: str) -> str:
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise DemoFailed(f"{' '.join(line)}: {done.stderr.strip()}")
    return done.stdout.strip()


def show(unit: str, name: str) -> str:
    return run("systemctl", "show", "--value", f"--property={name}", unit)


def state(unit: str) -> str:
    return show(unit, "ActiveState")
