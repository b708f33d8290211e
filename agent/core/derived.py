"""What follows from a situation and a policy, for rules to name: limits of this category and hour, and shrunk leases.

The one rule: pure functions under documented names (`policy_vocabulary.DERIVED`), in whole numbers.
"""

from __future__ import annotations

from agent.core import probe
from agent.core.cel_rules import Value
from agent.core.policy import Policy
from agent.core.situation import Situation


def shrunk_minor(minor: int, age_s: int, soft_age_s: int, hard_age_s: int) -> int:
    """An allowance by the age of its layer: whole up to the soft age, then linearly down to 0 at the hard age.

    Integer arithmetic, rounded down to a minor unit.
    """
    if age_s >= hard_age_s:
        return 0
    if age_s <= soft_age_s:
        return minor
    return minor * (hard_age_s - age_s) // (hard_age_s - soft_age_s)


def spendable_minor(situation: Situation) -> int:
    """What the lease still pays at the age of its layer, and never more than a debit of this sale has reserved."""
    ages = (situation.snapshot_age_s, situation.snapshot_soft_age_s, situation.snapshot_hard_age_s)
    left = shrunk_minor(situation.lease_minor, *ages)
    return min(left, situation.lease_reserved_minor) if situation.lease_reserved_minor else left


def _probe_percent(situation: Situation, policy: Policy) -> int:
    limits = policy.limits
    return probe.percent(
        situation.sale_amount_minor,
        threshold_minor=limits.probe_threshold_minor,
        floor_minor=policy.floor_limit_minor(situation.sale_merchant_category),
        low=limits.probe_percent_low,
        high=limits.probe_percent_high,
    )


def rule_values(situation: Situation, policy: Policy) -> dict[str, Value]:
    """What rules may name: the situation, the policy's limits, and what follows from both."""
    follows: dict[str, Value] = {
        "lease_remaining_minor": spendable_minor(situation),
        "travel_kmh_max": policy.travel_kmh[situation.clock_minute_of_day // 60 % 24],
        "probe_percent": _probe_percent(situation, policy),
    }
    category = policy.of_category(situation.sale_merchant_category)
    return situation.values() | policy.limit_values | category | follows
