"""One list of conditions: what is wrong with this lane, read by status, page and command alike.

The one rule: a condition is data: a code (also its key in the text catalogue and, where it ends standing in, the
decline reason), a severity, whether it ends standing in, and a check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from agent.services.lenders import POLICY, SNAPSHOT, Lender

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class LaneFacts:
    """What the conditions look at. Ages in seconds; ``printer_reason`` None: no trouble known."""

    link_up: bool
    clock_trusted: bool
    clock_reason: str | None
    queue_depth: int
    queue_entries_max: int
    free_bytes: int
    free_bytes_min: int
    forked: bool
    printer_reason: str | None
    printer_action: str | None
    exceptions: int
    lenders: tuple[Lender, ...]
    now_s: int


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is wrong now. ``detail`` is for the engineer, ``action`` says what to do if the check knows."""

    code: str
    severity: Severity
    ends_stand_in: bool
    detail: str
    action: str | None = None


Check = Callable[[LaneFacts], str | None]


@dataclass(frozen=True, slots=True)
class Rule:
    code: str
    severity: Severity
    ends_stand_in: bool
    check: Check


def _link(facts: LaneFacts) -> str | None:
    return None if facts.link_up else "the backend does not answer; the lane stands in"


def _clock(facts: LaneFacts) -> str | None:
    return None if facts.clock_trusted else facts.clock_reason or "untrusted"


def _queue(facts: LaneFacts) -> str | None:
    full = facts.queue_depth >= facts.queue_entries_max
    return f"{facts.queue_depth} entries wait, at most {facts.queue_entries_max}" if full else None


def _space(facts: LaneFacts) -> str | None:
    short = facts.free_bytes < facts.free_bytes_min
    return f"{facts.free_bytes // 10**6} MB free, {facts.free_bytes_min // 10**6} MB needed" if short else None


def _fork(facts: LaneFacts) -> str | None:
    return "the backend has other entries than this lane; nothing is sent" if facts.forked else None


def _printer(facts: LaneFacts) -> str | None:
    return facts.printer_reason


def _exceptions(facts: LaneFacts) -> str | None:
    return f"{facts.exceptions} entries are disputed or parked" if facts.exceptions else None


def _policy(facts: LaneFacts) -> str | None:
    for lender in facts.lenders:
        if POLICY in lender.faults:
            return f"{lender.lender}: {lender.faults[POLICY]}"
        if lender.policy is None or lender.policy.expires_at <= facts.now_s:
            return f"{lender.lender}: {'no policy' if lender.policy is None else 'the policy has expired'}"
    return None


def _snapshot(facts: LaneFacts) -> str | None:
    for lender in facts.lenders:
        if SNAPSHOT in lender.faults:
            return f"{lender.lender}: {lender.faults[SNAPSHOT]}"
        if lender.stack is None:
            return f"{lender.lender}: no snapshot"
    return None


def _snapshot_age(facts: LaneFacts) -> str | None:
    for lender in facts.lenders:
        if lender.stack and facts.now_s - lender.stack.newest.built_at >= lender.stack.newest.soft_age_s:
            return f"{lender.lender}: built {(facts.now_s - lender.stack.newest.built_at) // 3600} h ago"
    return None


# Conditions of one lender do not end standing in for the others: the decision itself declines for that lender.
RULES: Final = (
    Rule("uplink_unavailable", "warning", False, _link),
    Rule("clock_untrusted", "error", False, _clock),
    Rule("queue_entries_max", "error", True, _queue),
    Rule("free_space_min", "error", True, _space),
    Rule("journal_fork", "error", True, _fork),
    Rule("policy_expired", "error", False, _policy),
    Rule("snapshot_missing", "error", False, _snapshot),
    Rule("snapshot_age", "warning", False, _snapshot_age),
    Rule("printer", "warning", False, _printer),
    Rule("queue_exceptions", "warning", False, _exceptions),
)


def conditions(facts: LaneFacts) -> tuple[Condition, ...]:
    """Everything that is wrong now, in the order of ``RULES``."""
    found = []
    for rule in RULES:
        detail = rule.check(facts)
        if detail is not None:
            action = facts.printer_action if rule.code == "printer" else None
            found.append(Condition(rule.code, rule.severity, rule.ends_stand_in, detail, action))
    return tuple(found)


def ends_stand_in(facts: LaneFacts) -> str | None:
    """The code of the first condition that ends standing in for every lender, None if there is none."""
    return next((found.code for found in conditions(facts) if found.ends_stand_in), None)
