"""A lane's day on a machine with a real init: enrolled, sold on, killed, hung, stopped. Runs in the machine, as root.

The rule: what it reports it has seen: answers after every crash, both halves at the end. Prints one JSON object;
"faults" says what is wrong. An argument is the seed of the moments at which the daemon is killed.
"""

import json
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from smoke_shop import DAEMON, LANE, SOCKET, UPLINK, Lane, backend, open_shop, run, show, state

from agent.demo.props import DemoFailed, wait_for
from agent.local.client import LocalClient

KILLS = 5
SEED = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 30)


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


# -- what happens to it -------------------------------------------------------------------------------------------


def killed(lane: Lane, chance: random.Random) -> dict[str, float | bool]:
    """SIGKILL to the daemon at a random moment of the selling: seconds until it is ready and until it answers, and
    whether a sale was under way whose outcome had to be asked for first."""
    wait_for("the line is up", lane.is_online, 60)
    interrupted = len(lane.interrupted)
    killed_at: list[float] = []

    def kill() -> None:
        killed_at.append(time.monotonic())
        run("systemctl", "kill", "--signal=KILL", DAEMON)

    threading.Timer(chance.uniform(0.0, 0.3), kill).start()
    while not killed_at or became_active_s(DAEMON) < killed_at[0]:
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


def started_anew(lane: Lane) -> float:
    """An operator stops the daemon and starts it: the uplink beside it finds the new sockets. Seconds of the pause."""
    began = time.monotonic()
    run("systemctl", "stop", DAEMON)
    run("systemctl", "start", DAEMON)
    elapsed_s = time.monotonic() - began
    wait_for("the line is up again", lane.is_online, 60)
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
    wait_for("the queue is empty", lane.is_drained, 60)
    wait_for("every slip is printed", lane.is_printed, 60)
    settled = lane.client.post("/v1/settlements")
    if settled["state"] != "matched":
        lane.faults.append(f"the batch is {settled['state']}: {settled['differences']}")
    wait_for("the queue is empty", lane.is_drained, 60)
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
    books, audit = backend("lane", "show", LANE), backend("audit")
    lane.faults += [str(finding) for finding in (*audit["findings"], *audit["disputes"])]
    if (head["number"], head["head"]) != (books["number"], books["head"]):
        lane.faults.append(f"the journal ends at {head} here, at {books['number']} {books['head']} there")
    standing = [sale["sale_id"] for sale in books["sales"] if sale["state"] in ("authorized", "captured")]
    if sorted(standing) != sorted(lane.answers):
        lane.faults.append(f"answered: {sorted(lane.answers)}; in the books: {sorted(standing)}")
    unprinted = [sale_id for sale_id in lane.answers if not any(sale_id in slip.text for slip in lane.printer.slips)]
    lane.faults += [f"{sale_id} has no slip" for sale_id in unprinted]


# -- the init ------------------------------------------------------------------------------------------------------


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
