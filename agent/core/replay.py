"""A decision replayed from its own record: the same function, over the stored situation and the policy of its version.

The one rule: what was stored is never trusted to be right; it is compared, field by field, with what follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent.core.decision import Decision, decide
from agent.core.journal import Entry
from agent.core.policy import Policy
from agent.core.situation import Situation, situation_of


@dataclass(frozen=True, slots=True)
class Replayed:
    """What follows from an entry's own record. ``differs`` names the fields of the entry that say something else."""

    situation: Situation
    decision: Decision
    differs: tuple[str, ...]


def explained(decision: Decision) -> dict[str, Any]:
    """What an entry says of a decision; an approval also says what pays for it."""
    fields = {
        "response_code": decision.response_code,
        "reason": decision.reason,
        "rules": [[fired.rule_id, fired.effect, fired.outcome] for fired in decision.fired],
        "policy_version": decision.policy_version,
        "snapshot_sequence": decision.snapshot_sequence,
        "clock_source": decision.clock_source,
    }
    return fields | ({"funding": decision.funding} if decision.approved else {})


def replay(entry: Entry, policy: Policy | None) -> Replayed | None:
    """Decide an authorization or a decline again; ``policy`` is the one of the lender and version that the entry names.

    None: no rule was asked (`situation` is None). Raises SituationError.
    """
    situation = situation_of(entry)
    if situation is None:
        return None
    decision = decide(situation, policy)
    stored, said = explained(decision) | {"amount_minor": situation.sale_amount_minor}, entry.body
    differs = [name for name, value in stored.items() if said.get(name) != value]
    differs += [] if decision.approved == ("funding" in said) else ["approved"]
    return Replayed(situation, decision, tuple(differs))
