"""The story of a sale as its journal entries tell it, each decision decided again: for supervisors and auditors.

The one rule: what cannot be decided again is said to be so, and why; a story never fills a gap. Lane and backend tell
it by the same function, each from its own half of the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from itertools import groupby
from typing import Any, Final, Literal, TypeAlias

from agent.core.explanation import Explanation, explain
from agent.core.journal import Entry, Kind
from agent.core.policy import Policy, PolicyError
from agent.core.replay import explained
from agent.core.situation import SituationError

PolicyOf: TypeAlias = Callable[[str, int], Policy | None]
"""The policy of a lender and version; None: it is kept no longer. May raise PolicyError."""

Replay = Literal["same", "different", "no_rule_asked", "by_backend", "policy_not_kept", "unreadable"]
ALARM: Final = "different"
GAPS: Final = frozenset({"policy_not_kept", "unreadable"})
ALONE: Final = (Kind.AUTHORIZATION, Kind.DECLINE)
DECIDED: Final = (*ALONE, Kind.ONLINE_OUTCOME)
_SAID: Final = (
    "amount_minor", "currency", "category", "response_code", "reason", "policy_version", "snapshot_sequence",
    "clock_source", "online_unknown", "funding", "rules",
)  # fmt: skip


def story(entries: Iterable[Entry], policy_of: PolicyOf) -> list[dict[str, Any]]:
    """A JSON value for each attempt: ``attempt``, ``lender``, ``entries`` and ``decision`` (None: it is still open).

    ``entries`` are those of one sale, in the journal's order. Raises nothing.
    """
    by_attempt = groupby(sorted(entries, key=lambda entry: entry.attempt or 0), key=lambda entry: entry.attempt)
    return [_attempt(number, list(group), policy_of) for number, group in by_attempt]


def replays(told: Iterable[Mapping[str, Any]]) -> set[str]:
    """How the replays of a story ended."""
    return {attempt["decision"]["replay"] for attempt in told if attempt["decision"]}


def _attempt(number: int | None, entries: list[Entry], policy_of: PolicyOf) -> dict[str, Any]:
    decided = next((entry for entry in entries if entry.kind in DECIDED), None)
    return {
        "attempt": number,
        "lender": entries[0].lender,
        "entries": [_event(entry) for entry in entries],
        "decision": _decision(decided, policy_of) if decided else None,
    }


def _event(entry: Entry) -> dict[str, Any]:
    trusted, offset_s = entry.clock
    return {
        "epoch": entry.epoch,
        "number": entry.number,
        "kind": str(entry.kind),
        "recorded_at": entry.recorded_at,
        "clock_trusted": trusted,
        "clock_offset_s": offset_s,
        "amount_minor": entry.body.get("amount_minor"),
        "currency": entry.body.get("currency"),
    }


def _decision(entry: Entry, policy_of: PolicyOf) -> dict[str, Any]:
    said = {name: entry.body.get(name) for name in _SAID}
    said["approved"] = entry.body.get("approved", entry.kind == Kind.AUTHORIZATION)
    found, why, explanation = _decided_again(entry, policy_of)
    return said | {
        "by": "lane" if entry.kind in ALONE else "backend",
        "number": entry.number,
        "recorded_at": entry.recorded_at,
        "replay": found,
        "why": why,
        "differs": _differences(entry, explanation) if explanation else {},
        "checks": [asdict(check) for check in explanation.checks] if explanation else [],
    }


def _decided_again(entry: Entry, policy_of: PolicyOf) -> tuple[Replay, str | None, Explanation | None]:
    if entry.kind not in ALONE:
        return "by_backend", None, None
    if entry.body.get("situation") is None:
        return "no_rule_asked", None, None
    version, lender = entry.body.get("policy_version"), entry.lender or ""
    if version is not None and type(version) is not int:
        return "unreadable", f"a policy version is a number, not {version!r:.40}", None
    try:
        policy = policy_of(lender, version) if version is not None else None
        if version is not None and policy is None:
            return "policy_not_kept", f"policy {version} of {lender}", None
        explanation = explain(entry, policy)
    except (PolicyError, SituationError) as error:
        return "unreadable", str(error), None
    assert explanation is not None, "there is a situation"
    return "different" if explanation.differs else "same", None, explanation


def _differences(entry: Entry, explanation: Explanation) -> dict[str, dict[str, Any]]:
    """By field: what is stored, and what follows from the record."""
    follows = explained(explanation.decision) | {"approved": explanation.decision.approved}
    stored = {"approved": entry.kind == Kind.AUTHORIZATION, **entry.body}
    return {name: {"stored": stored.get(name), "follows": follows.get(name)} for name in explanation.differs}
