"""What the lane has recorded and what it was given: ledger, journal, queue, keys, policy, snapshot.

The one rule: the journal is walked, entry by entry, by whoever holds it; nothing is repaired here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from agent.core.journal import Head, JournalError, check_end, walk
from agent.diagnosis.case import WALK_S, Case
from agent.diagnosis.examination import Finding, failed, ok, warning
from agent.errors import CounterfoilError, LedgerError, LedgerInUse, NotEnrolled
from agent.store.ledger import SqliteLedger

STEP_ENTRIES: Final = 500
QUEUE_OLD_S: Final = 3600
KEEP: Final = "Stop the lane, copy the state directory as it is, and call support: unsent sales can be saved from it."
RECOVER: Final = "Nothing is sent until a person has looked at both ends and begun a new epoch: counterfoil recover"
LINE: Final = "Mend the line to the backend (see below); if it is up: systemctl restart counterfoil-uplink"
HOUR_S: Final = 3600
DAY_S: Final = 86_400


def ledger(case: Case) -> Iterator[Finding]:
    if case.is_running:
        yield ok("held by the agent, which checks it at its start")
        return
    try:
        damage = case.ledger.damage()
    except NotEnrolled as error:
        remedy = "A new lane: start it, systemctl start counterfoil. A lane that has sold before: call support first."
        yield failed("not there", error.message, remedy)
        return
    except LedgerInUse as error:
        who = f"See who: fuser -v {case.config.lane.ledger_file}. An agent that hangs: systemctl restart counterfoil"
        yield failed("cannot be opened", f"{error.message}, and no agent answers.", who)
        return
    except LedgerError as error:
        yield failed("cannot be opened", error.message, error.hint)
        return
    if damage:
        yield failed("damaged", damage[0], KEEP)
    else:
        yield ok("opened here: every page and index is sound")


def journal(case: Case) -> Iterator[Finding]:
    """Every entry follows the one before, and the last is the head."""
    try:
        head = case.agent(WALK_S).post("/v1/journal/verification") if case.is_running else _walked(case.ledger)
    except (JournalError, CounterfoilError) as error:
        yield failed("the chain is broken", str(error), KEEP)
        return
    by = "by the agent" if case.is_running else "here"
    yield ok(f"{head['number']} entries, each follows the one before, checked {by}")


def _walked(ledger: SqliteLedger) -> dict[str, Any]:
    """Raises JournalError and LedgerError."""
    end = ledger.head
    head = Head(end.lane, end.epoch)
    while batch := ledger.entry_bytes_after(end.epoch, head.number, STEP_ENTRIES):
        head = walk(head, batch)
    check_end(head, end)
    return {"number": head.number}


def journal_head(case: Case) -> Iterator[Finding]:
    """The epoch of the journal is the one that this lane was enrolled with."""
    head = case.facts["journal"]
    said = f"epoch {head['epoch']}, entry {head['number']}, {head['head'][:16]}"
    if 0 < head["epoch"] < case.enrolled.epoch:
        cause = f"This lane was enrolled with epoch {case.enrolled.epoch}: identity and ledger are of different times."
        yield failed(said, cause, KEEP)
    elif not head["epoch"]:
        yield warning("nothing recorded yet", "The agent has never run here.", "Start it: systemctl start counterfoil")
    else:
        yield ok(said)


def queue(case: Case) -> Iterator[Finding]:
    told, depth_max = case.facts["queue"], case.config.limits.queue_entries_max
    depth, oldest_s = told["depth"], told["oldest_at"]
    age_s = max(0, case.now_s - oldest_s) if oldest_s else 0
    said = f"{depth} records to send" + (f", the oldest {_age(age_s)} old" if oldest_s else "")
    if depth >= depth_max:
        yield failed(said, f"At {depth_max} the lane approves nothing offline.", LINE)
    elif depth * 2 >= depth_max:
        yield warning(said, f"At {depth_max} the lane stops approving offline.", LINE)
    elif age_s > QUEUE_OLD_S:
        yield warning(said, "Nothing was acknowledged for more than an hour.", LINE)
    else:
        yield ok(said)


def exceptions(case: Case) -> Iterator[Finding]:
    found = case.facts["queue"]["exceptions"]
    forks = [item["epoch"] for item in found if item["state"] == "forked"]
    found = [item for item in found if item["state"] != "forked"]
    if case.facts["journal"]["epoch"] in forks:
        cause = "The backend has other entries than this lane: an old backup was restored, or the disk was copied."
        yield failed("this journal has a double", cause, RECOVER)
    elif found:
        first = found[0]
        cause = f"The first: entry {first['epoch']}-{first['number']} is {first['state']} ({first['why']})."
        yield warning(f"{len(found)} records not accepted", cause, "Tell the shop's back office; they settle it there.")
    else:
        yield ok("every record that was sent was accepted")


def lender_keys(case: Case) -> Iterator[Finding]:
    for lender in case.facts["lenders"]:
        name, end_s = lender["lender"], lender["keys_expire_at"]
        said = f"{name}: keys {lender['keys_version']}, verified, valid {_until(end_s - case.now_s)}"
        yield _judged(said, lender["faults"].get("keys"), left_s=end_s - case.now_s)


def policy(case: Case) -> Iterator[Finding]:
    for lender in case.facts["lenders"]:
        name, end_s = lender["lender"], lender["policy_expires_at"]
        if lender["policy_version"] is None:
            yield _missing(f"{name}: no policy", lender["faults"].get("policy"))
            continue
        left_s = end_s - case.now_s
        said = f"{name}: policy {lender['policy_version']}, verified, valid {_until(left_s)}"
        yield _judged(said, lender["faults"].get("policy"), left_s=left_s)


def snapshot(case: Case) -> Iterator[Finding]:
    for lender in case.facts["lenders"]:
        name, built_at = lender["lender"], lender["snapshot_built_at"]
        if built_at is None:
            yield _missing(f"{name}: no snapshot", lender["faults"].get("snapshot"))
            continue
        age_s = max(0, case.now_s - built_at)
        said = f"{name}: snapshot {lender['snapshot_sequence']}, verified, built {_age(age_s)} ago"
        fault = lender["faults"].get("snapshot")
        if age_s >= lender["snapshot_hard_age_s"]:
            yield failed(said, "It is too old: nobody is approved offline.", LINE)
        elif age_s >= lender["snapshot_soft_age_s"]:
            yield warning(said, "It grows old: amounts that may be approved offline shrink.", LINE)
        else:
            yield _judged(said, fault, left_s=lender["snapshot_hard_age_s"] - age_s)


def _missing(said: str, fault: str | None) -> Finding:
    cause = f"The one that is here is refused: {fault}." if fault else "None has arrived yet."
    remedy = f"{LINE}. If it is refused again: tell the backend team." if fault else LINE
    return failed(said, f"{cause} Without it nobody is approved offline.", remedy)


def _judged(said: str, fault: str | None, *, left_s: int) -> Finding:
    if left_s <= 0:
        return failed(said, "It has expired, if this computer's date is right: nobody is approved offline.", LINE)
    if fault:
        remedy = "Tell the backend team; the one before stays in force."
        return warning(said, f"A newer one is refused: {fault}.", remedy)
    return ok(said)


def _until(left_s: int) -> str:
    return f"for {_age(left_s)}" if left_s > 0 else "no more"


def _age(seconds: int) -> str:
    for unit_s, name in ((DAY_S, "days"), (HOUR_S, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds // unit_s} {name}"
    return f"{seconds} s"
