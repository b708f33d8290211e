"""One list of conditions: what is wrong with this lane, read by status, page and command alike.

The one rule: a condition is data: a code (also its key in the text catalogue and, where it ends standing in, the
decline reason), a severity, whether it ends standing in, and a check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from agent.core.trusted_time import ClockReading
from agent.core.witness import Doubt
from agent.services.lenders import POLICY, SNAPSHOT, Lender

Severity = Literal["info", "warning", "error"]
DAY_S: Final = 86_400
CERTIFICATE_WARN_S: Final = 14 * DAY_S
"""By then the lane has tried to renew daily for months: somebody has to look."""


@dataclass(frozen=True, slots=True)
class LimitFacts:
    """What can end standing in for every lender. Asked before each stand-in decision, so it is cheap to know."""

    queue_depth: int
    queue_entries_max: int
    free_bytes: int
    free_bytes_min: int
    free_bytes_full: int
    forked: bool
    doubt: str | None = None
    access_refusal: str | None = None


@dataclass(frozen=True, slots=True)
class LaneFacts:
    """What the conditions look at. Ages in seconds; ``printer_reason`` None: no trouble known; ``clocks`` are the
    lenders', by whose times their documents are judged."""

    limits: LimitFacts
    link_up: bool
    backend_recovering: bool
    clocks: Mapping[str, ClockReading]
    printer_reason: str | None
    printer_action: str | None
    exceptions: int
    batches_pending: int
    batches_different: int
    lenders: tuple[Lender, ...]
    now_s: int
    certificate_expires_at: int | None = None
    scanners: Mapping[str, str] = field(default_factory=dict)
    """The reason of each scanner that cannot read now, by its name."""
    display: str = ""
    """Why the customer's display shows nothing, "" when it works or there is none."""
    http: str = ""
    """Why nobody answers on this computer's HTTP port, "" when somebody does or none is asked for."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is wrong now. ``detail`` is for the engineer, ``action`` says what to do if the check knows."""

    code: str
    severity: Severity
    ends_stand_in: bool
    detail: str
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    code: str
    severity: Severity
    check: Callable[[LaneFacts], str | None]


@dataclass(frozen=True, slots=True)
class LimitRule:
    """A condition that ends standing in; always an error."""

    code: str
    check: Callable[[LimitFacts], str | None]


def _link(facts: LaneFacts) -> str | None:
    return None if facts.link_up else "the backend does not answer; the lane stands in"


def _clock(facts: LaneFacts) -> str | None:
    """Of several lenders, those are named whose time is not trusted: with the others the lane stands in."""
    doubted = {name: clock.reason or "untrusted" for name, clock in facts.clocks.items() if not clock.trusted}
    if len(facts.clocks) == 1:
        return next(iter(doubted.values()), None)
    return _all(f"{name}: {reason}" for name, reason in doubted.items())


def _queue(facts: LimitFacts) -> str | None:
    full = facts.queue_depth >= facts.queue_entries_max
    return f"{facts.queue_depth} entries wait, at most {facts.queue_entries_max}" if full else None


def _full(facts: LimitFacts) -> str | None:
    full = facts.free_bytes < facts.free_bytes_full
    return "no sale is begun; what was begun can be captured, reversed and settled" if full else None


def _space(facts: LimitFacts) -> str | None:
    short = facts.free_bytes < facts.free_bytes_min
    return f"{facts.free_bytes // 10**6} MB free, {facts.free_bytes_min // 10**6} MB needed" if short else None


def _fork(facts: LimitFacts) -> str | None:
    return (
        "the backend has other entries than this lane; nothing is sent: counterfoil recover" if facts.forked else None
    )


def _revoked(facts: LimitFacts) -> str | None:
    refused = facts.access_refusal == "lane_revoked"
    return "the backend has revoked this lane; its records are still sent" if refused else None


def _replaced(facts: LimitFacts) -> str | None:
    refused = facts.access_refusal == "lane_replaced"
    return "another device is this lane now; the records of this one are still sent" if refused else None


def _certificate_expired(facts: LaneFacts) -> str | None:
    end_s = facts.certificate_expires_at
    if end_s is not None and end_s <= facts.now_s:
        return f"expired {(facts.now_s - end_s) // DAY_S} days ago; only a renewal and the journal are still taken"
    if facts.limits.access_refusal == "certificate_expired":
        return "the backend says that it has expired; only a renewal and the journal are still taken"
    return None


def _certificate_expires(facts: LaneFacts) -> str | None:
    left_s = (facts.certificate_expires_at or 0) - facts.now_s
    return f"{left_s // DAY_S} days left; the lane renews it by itself when online" if _is_near(left_s) else None


def _is_near(left_s: int) -> bool:
    return 0 < left_s < CERTIFICATE_WARN_S


DOUBTS: Final[Mapping[Doubt, str]] = {
    Doubt.FIRST_START: "this journal has just begun",
    Doubt.NO_WITNESS: "the ledger may be an old copy: what remembers its end is gone",
    Doubt.OTHER_MACHINE: "the ledger comes from another computer, and may be used there too",
    Doubt.OLDER: "the ledger is an old copy: entries that were seen here are not in it",
    Doubt.OTHER_ENTRIES: "the ledger has other entries than those that were seen here",
}
"""Why a ledger may be a copy, in words."""


def _doubt(facts: LimitFacts) -> str | None:
    return f"{DOUBTS[Doubt(facts.doubt)]}; the backend has not confirmed it yet" if facts.doubt else None


def _recovering(facts: LaneFacts) -> str | None:
    return "the backend is being restored; every lane stands in meanwhile" if facts.backend_recovering else None


def _scanner(facts: LaneFacts) -> str | None:
    return ", ".join(f"{name}: {reason}" for name, reason in facts.scanners.items()) or None


def _display(facts: LaneFacts) -> str | None:
    return facts.display or None


def _http(facts: LaneFacts) -> str | None:
    return facts.http or None


def _printer(facts: LaneFacts) -> str | None:
    return facts.printer_reason


def _exceptions(facts: LaneFacts) -> str | None:
    return f"{facts.exceptions} entries are disputed or parked" if facts.exceptions else None


def _batch_pending(facts: LaneFacts) -> str | None:
    count = facts.batches_pending
    return f"{count} closed batches wait for the backend's half" if count else None


def _batch_different(facts: LaneFacts) -> str | None:
    count = facts.batches_different
    return f"{count} closed batches differ from the backend's half" if count else None


def _policy(facts: LaneFacts) -> str | None:
    return _of_lenders(facts, _policy_of)


def _policy_of(lender: Lender, now_s: int) -> str | None:
    if POLICY in lender.faults:
        return lender.faults[POLICY]
    if lender.policy is None:
        return "no policy"
    return "the policy has expired" if lender.policy.expires_at <= now_s else None


def _snapshot(facts: LaneFacts) -> str | None:
    return _of_lenders(facts, _snapshot_of)


def _snapshot_of(lender: Lender, _now_s: int) -> str | None:
    return lender.faults.get(SNAPSHOT) or ("no snapshot" if lender.stack is None else None)


def _snapshot_age(facts: LaneFacts) -> str | None:
    return _of_lenders(facts, _age_of)


def _age_of(lender: Lender, now_s: int) -> str | None:
    if lender.stack is None:
        return None
    newest, age_s = lender.stack.newest, now_s - lender.stack.newest.built_at
    return f"built {age_s // 3600} h ago" if age_s >= newest.soft_age_s else None


def _of_lenders(facts: LaneFacts, check: Callable[[Lender, int], str | None]) -> str | None:
    """What is wrong with each lender, by its own time: one is never hidden behind another."""
    found = ((lender.lender, check(lender, facts.clocks[lender.lender].now_s)) for lender in facts.lenders)
    return _all(f"{name}: {wrong}" for name, wrong in found if wrong is not None)


def _all(found: Iterable[str]) -> str | None:
    return "; ".join(found) or None


LIMIT_RULES: Final = (
    LimitRule("queue_entries_max", _queue),
    LimitRule("disk_full", _full),
    LimitRule("free_space_min", _space),
    LimitRule("journal_fork", _fork),
    LimitRule("head_unconfirmed", _doubt),
    LimitRule("lane_revoked", _revoked),
    LimitRule("lane_replaced", _replaced),
)

# What is wrong with one lender does not end standing in for the others: the decision itself declines for that lender.
RULES: Final = (
    Rule("uplink_unavailable", "warning", _link),
    Rule("backend_recovering", "warning", _recovering),
    Rule("clock_untrusted", "error", _clock),
    Rule("certificate_expired", "error", _certificate_expired),
    Rule("certificate_expires", "warning", _certificate_expires),
    Rule("policy_expired", "error", _policy),
    Rule("snapshot_missing", "error", _snapshot),
    Rule("snapshot_age", "warning", _snapshot_age),
    Rule("scanner", "error", _scanner),
    Rule("display", "warning", _display),
    Rule("printer", "warning", _printer),
    Rule("http_port", "error", _http),
    Rule("queue_exceptions", "warning", _exceptions),
    Rule("batch_pending", "info", _batch_pending),
    Rule("batch_different", "error", _batch_different),
)


def conditions(facts: LaneFacts) -> tuple[Condition, ...]:
    """Everything that is wrong now: what ends standing in first, then in the order of ``RULES``."""
    limits = ((rule.code, rule.check(facts.limits)) for rule in LIMIT_RULES)
    found = [Condition(code, "error", True, detail) for code, detail in limits if detail is not None]
    for rule in RULES:
        detail = rule.check(facts)
        if detail is not None:
            action = facts.printer_action if rule.code == "printer" else None
            found.append(Condition(rule.code, rule.severity, False, detail, action))
    return tuple(found)


def ends_stand_in(facts: LimitFacts) -> str | None:
    """The code of the first condition that ends standing in for every lender, None if there is none."""
    return next((rule.code for rule in LIMIT_RULES if rule.check(facts) is not None), None)
