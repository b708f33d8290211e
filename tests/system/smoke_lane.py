"""A lane's day on a machine with a real init: enrolled, sold on, killed, hung, stopped. Runs in the machine, as root.

The rule: an answer that was given is the answer for good. Each is kept as it was given and compared with what the lane
says after every crash, and with the backend's books at the end. Prints one JSON object; "faults" says what is wrong.
"""

import contextlib
import io
import json
import os
import pwd
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from agent.demo.props import DemoFailed, Phone, command, wait_for
from agent.errors import AgentNotRunning
from agent.local.client import LocalClient
from backend.cli import main as backend_main
from drivers.virtual.printer import VirtualPrinter
from drivers.virtual.scanner import VirtualScanner

DAEMON, UPLINK = "counterfoil.service", "counterfoil-uplink.service"
SOCKET = Path("/run/counterfoil/agent.sock")
SHOP = Path("/srv/shop")
PORT = 8443
ACCOUNTS = 5
KILLS = 5
AMOUNT_MINOR = 100
INTERRUPTED = "68"
SEED = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 30)
ANSWER = ("sale_id", "state", "mode", "amount", "response_code", "authorization_code")


class Lane:
    """The shop around the two units: scanner, printer, phones, and a till that remembers every answer."""

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
        self.answers[sale_id] = wait_for(f"an answer for {sale_id}", lambda: self._attempt(sale_id), 40)

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


def main() -> int:
    report: dict[str, Any] = {"seed": SEED, "faults": []}
    began = time.monotonic()
    try:
        lane = open_shop(report["faults"])
        lane.faults = report["faults"]
        report["shop_s"] = time.monotonic() - began
        report["kills"] = [killed(lane, random.Random(SEED + n)) for n in range(KILLS)]
        report |= {"restarts": restarts(DAEMON), "uplink_restarts": restarts(UPLINK)}
        report["hang_to_answer_s"] = hung(lane)
        report["pause_s"] = started_anew(lane)
        confined(lane)
        close_day(lane, report)
        report["sales"] = len(lane.answers)
    except DemoFailed as fault:
        report["faults"] += [fault.message, journal()]
    print(json.dumps(report, ensure_ascii=False))
    return 0


# -- the shop opens -----------------------------------------------------------------------------------------------


def open_shop(faults: list[str]) -> Lane:
    run("systemd-sysusers")
    run("systemd-tmpfiles", "--create", "counterfoil.conf")
    run("systemctl", "start", DAEMON, UPLINK)
    faults += [f"not enrolled, {unit} is {state(unit)}" for unit in (DAEMON, UPLINK) if state(unit) != "inactive"]
    backend("init")
    accounts = [backend("account", "add", "--limit-minor", "200000")["account"] for _ in range(ACCOUNTS)]
    code = backend("enroll-code", "--lane", "lane-01")["code"]
    serve = command("counterfoil-backend", "serve", "--dir", str(SHOP / "backend"), "--port", str(PORT))
    run("systemd-run", "--quiet", "--unit=shop-backend", *serve, "--refresh-s", "1")
    lane = Lane([Phone.load(SHOP / "backend" / "phones" / f"{account}.json") for account in accounts])
    write_config(lane)
    let_hang()
    wait_for("enrollment", lambda: enroll(code), 20)
    run("systemctl", "start", DAEMON, UPLINK)
    wait_for("the lane is ready", lane.is_ready, 30)
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


# -- what happens to it -------------------------------------------------------------------------------------------


def killed(lane: Lane, chance: random.Random) -> dict[str, float | bool]:
    """SIGKILL to the daemon at a random moment of the selling: seconds until it is ready and until it answers, and
    whether a sale was under way whose outcome had to be asked for first."""
    wait_for("the line is up", lane.is_online, 20)
    interrupted = len(lane.interrupted)
    killed_at: list[float] = []

    def kill() -> None:
        killed_at.append(time.monotonic())
        run("systemctl", "kill", "--signal=KILL", DAEMON)
        killed_at.append(time.monotonic())

    trigger = threading.Timer(chance.uniform(0.0, 0.3), kill)
    trigger.start()
    while len(killed_at) < 2:
        lane.sell()
    answered_at = time.monotonic()
    lane.compare("after SIGKILL")
    return {
        "to_ready_s": became_active_s(DAEMON) - killed_at[0],
        "to_answer_s": answered_at - killed_at[0],
        "interrupted": len(lane.interrupted) > interrupted,
    }


def hung(lane: Lane) -> float:
    """The event loop stands still while the process lives: the watchdog ends it. Seconds from the hang to an answer."""
    lane.client = LocalClient(SOCKET, timeout_s=0.5)
    began = time.monotonic()
    run("systemctl", "kill", "--signal=USR1", "--kill-whom=main", DAEMON)
    lane.sell()
    elapsed_s = time.monotonic() - began
    lane.client = LocalClient(SOCKET, timeout_s=10)
    lane.compare("after a hang")
    return elapsed_s


def let_hang() -> None:
    """From now on SIGUSR1 stops the main thread of the daemon, and that thread only, wherever it is."""
    folder, drop_in = SHOP / "hang", Path("/run/systemd/system") / f"{DAEMON}.d"
    for made in (folder, drop_in):
        made.mkdir(parents=True)
    text = "import signal, time\nsignal.signal(signal.SIGUSR1, lambda *_: time.sleep(3600))\n"
    (folder / "sitecustomize.py").write_text(text)
    (drop_in / "hang.conf").write_text(f"[Service]\nEnvironment=PYTHONPATH={folder}\n")
    run("systemctl", "daemon-reload")


def started_anew(lane: Lane) -> float:
    """An operator stops the daemon and starts it: the uplink beside it finds the new sockets. Seconds of the pause."""
    began = time.monotonic()
    run("systemctl", "stop", DAEMON)
    run("systemctl", "start", DAEMON)
    elapsed_s = time.monotonic() - began
    wait_for("the line is up again", lane.is_online, 20)
    return elapsed_s


def confined(lane: Lane) -> None:
    """What the two processes see of the disk."""
    daemon, uplink = (Path(f"/proc/{show(unit, 'MainPID')}/root") for unit in (DAEMON, UPLINK))
    found = sorted(path.name for path in (uplink / "var/lib/counterfoil").iterdir())
    if found != ["identity", "snapshots"]:
        lane.faults.append(f"the uplink sees {found}")
    if (uplink / "var/lib/counterfoil/identity/journal.key").stat().st_size:
        lane.faults.append("the uplink sees the key of the journal")
    writable = [
        str(root / folder)
        for root in (daemon, uplink)
        for folder in ("usr", "etc", "srv")
        if is_writable(root / folder)
    ]
    lane.faults += [f"a process may write to {path}" for path in writable]


def is_writable(folder: Path) -> bool:
    return not os.statvfs(folder).f_flag & os.ST_RDONLY


# -- the day is closed --------------------------------------------------------------------------------------------


def close_day(lane: Lane, report: dict[str, Any]) -> None:
    wait_for("the queue is empty", lane.is_drained, 20)
    wait_for("every slip is printed", lane.is_printed, 20)
    settled = lane.client.post("/v1/settlements")
    if settled["state"] != "matched":
        lane.faults.append(f"the batch is {settled['state']}: {settled['differences']}")
    wait_for("the queue is empty", lane.is_drained, 20)
    lane.compare("at the end of the day")
    head = lane.client.post("/v1/journal/verification")
    report |= {name: usage(unit) for name, unit in (("daemon", DAEMON), ("uplink", UPLINK))}
    began = time.monotonic()
    run("systemctl", "stop", DAEMON, UPLINK)
    report["stop_s"] = time.monotonic() - began
    for unit in (DAEMON, UPLINK):
        if (state(unit), show(unit, "Result")) != ("inactive", "success"):
            lane.faults.append(f"stopped, {unit} is {state(unit)}, {show(unit, 'Result')}")
    compare_books(lane, head)


def compare_books(lane: Lane, head: dict[str, Any]) -> None:
    """The backend's half, from its own books."""
    run("systemctl", "stop", "shop-backend")
    books, audit = backend("lane", "show", "lane-01"), backend("audit")
    lane.faults += [str(finding) for finding in (*audit["findings"], *audit["disputes"])]
    if (head["number"], head["head"]) != (books["number"], books["head"]):
        lane.faults.append(f"the journal ends at {head} here, at {books['number']} {books['head']} there")
    standing = [sale["sale_id"] for sale in books["sales"] if sale["state"] in ("authorized", "captured")]
    if sorted(standing) != sorted(lane.answers):
        lane.faults.append(f"answered: {sorted(lane.answers)}; in the books: {sorted(standing)}")
    unprinted = [sale_id for sale_id in lane.answers if not any(sale_id in slip.text for slip in lane.printer.slips)]
    lane.faults += [f"{sale_id} has no slip" for sale_id in unprinted]


# -- the init -----------------------------------------------------------------------------------------------------


def run(*line: str) -> str:
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise DemoFailed(f"{' '.join(line)}: {done.stderr.strip()}")
    return done.stdout.strip()


def show(unit: str, name: str) -> str:
    return run("systemctl", "show", "--value", f"--property={name}", unit)


def state(unit: str) -> str:
    return show(unit, "ActiveState")


def restarts(unit: str) -> int:
    return int(show(unit, "NRestarts"))


def became_active_s(unit: str) -> float:
    return int(show(unit, "ActiveEnterTimestampMonotonic")) / 1e6


def usage(unit: str) -> dict[str, str]:
    pid = show(unit, "MainPID")
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: fields[name].strip() for name in ("VmHWM", "Threads", "CapEff", "Seccomp", "NoNewPrivs")}


def journal() -> str:
    return run("journalctl", "--no-pager", "--lines=60", "--unit=counterfoil*", "--unit=shop-backend")


if __name__ == "__main__":
    sys.exit(main())
