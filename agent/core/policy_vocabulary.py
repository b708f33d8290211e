"""The names that a policy may use: the limits that it sets, and the variables that the lane supplies to its rules.

The one rule: every threshold of the product is a field of `Limits`, with its unit in its name and its range here;
a rule sees it as a variable of the same name. Amounts are minor units of the policy's currency.
"""

from dataclasses import dataclass
from typing import Annotated, get_type_hints

from agent.core.cel_rules import Value, Variable
from agent.core.money import MINOR_MAX
from agent.core.situation import FIELDS, JUDGED_BEFORE_RULES, OF_THE_LANE_ALONE

_COUNT_MAX = 1_000_000
_DAY_S = 86_400
_DAY_MINUTES = 1_440
WINDOW_MAX_S = 31 * _DAY_S


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the greatest value of a limit, and what the limit bounds."""

    low: int
    high: int
    meaning: str


def _minor(meaning: str) -> Range:
    return Range(0, MINOR_MAX, meaning)


def _count(meaning: str) -> Range:
    return Range(0, _COUNT_MAX, meaning)


def _window(meaning: str) -> Range:
    return Range(60, WINDOW_MAX_S, meaning)


@dataclass(frozen=True, slots=True)
class Limits:
    """Every threshold, whole numbers, checked against its range by `parse_policy`."""

    floor_limit_minor: Annotated[int, _minor("a sale of this amount or more is not for the lane alone (EMV 9F1B)")]
    low_tier_max: Annotated[int, Range(0, 7, "customers up to this tier have the lower floor limit")]
    low_tier_floor_limit_minor: Annotated[int, _minor("floor limit of customers up to low_tier_max")]
    step_up_minor: Annotated[int, _minor("smallest amount for which the phone must have verified its user")]

    account_window_s: Annotated[int, _window("window of the account's counts and amounts")]
    account_consecutive_lower: Annotated[int, _count("stand-in sales of an account before a record says go_online")]
    account_consecutive_upper: Annotated[int, _count("stand-in sales of an account, at most")]
    account_cumulative_lower_minor: Annotated[
        int, _minor("stand-in amount of an account before a record says go_online")
    ]
    account_cumulative_upper_minor: Annotated[int, _minor("stand-in amount of an account, at most")]

    lane_window_s: Annotated[int, _window("window of the lane's counts and amounts")]
    lane_consecutive_lower: Annotated[int, _count("stand-in sales of the lane before a record says go_online")]
    lane_consecutive_upper: Annotated[int, _count("stand-in sales of the lane, at most")]
    lane_cumulative_lower_minor: Annotated[int, _minor("stand-in amount of the lane before a record says go_online")]
    lane_cumulative_upper_minor: Annotated[int, _minor("stand-in amount of the lane, at most")]

    cap_minor_max: Annotated[int, _minor("one sale under the pass's own cap, at most; 0 ends such sales")]
    cap_account_cumulative_minor: Annotated[int, _minor("all sales of an account under the pass's own cap, at most")]
    cap_window_s: Annotated[int, _window("window of cap_account_cumulative_minor")]

    velocity_window_s: Annotated[int, _window("short window of an account's sales at one lane, also decided online")]
    velocity_count_max: Annotated[int, _count("sales of an account in velocity_window_s, at most")]
    cash_out_window_s: Annotated[int, _window("window in which signs of a cash-out are counted")]
    round_unit_minor: Annotated[int, Range(1, MINOR_MAX, "an amount that is a multiple of this is a round one")]
    account_round_count_max: Annotated[
        int, _count("sales of round amounts of an account in cash_out_window_s, at most")
    ]
    lane_round_count_max: Annotated[int, _count("sales of the same round amount at the lane in that window, at most")]
    near_limit_percent: Annotated[int, Range(1, 100, "a sale of this part of its floor limit is just under the limit")]
    near_limit_count_max: Annotated[int, _count("sales just under the limit of an account in that window, at most")]
    refund_window_s: Annotated[int, _window("window of an account's refunds")]
    refund_count_max: Annotated[int, _count("refunds of an account in refund_window_s before it buys alone, at most")]

    travel_slack_km: Annotated[int, Range(0, 1_000, "distance that a place known to about 1 km may be wrong by")]
    travel_near_km: Annotated[int, Range(0, 5_000, "up to here people go by road: travel_kmh of the hour")]
    travel_far_kmh_max: Annotated[int, Range(1, 2_000, "fastest plausible speed beyond travel_near_km, by rail or air")]

    hours_from_minute: Annotated[int, Range(0, _DAY_MINUTES, "sales begin at this minute of the store's day")]
    hours_to_minute: Annotated[int, Range(0, _DAY_MINUTES, "and end before this one; below hours_from: after midnight")]
    stale_floor_limit_minor: Annotated[int, _minor("floor limit once the snapshot is older than its soft age")]

    probe_percent_low: Annotated[int, Range(0, 100, "of a hundred small sales, selected at random")]
    probe_percent_high: Annotated[int, Range(0, 100, "of a hundred sales at the floor limit, selected at random")]
    probe_threshold_minor: Annotated[
        int, _minor("from this amount on the part that is selected rises to the floor limit")
    ]
    lease_holding_s: Annotated[int, _window("how long after an account's last sale its lease stays at a lane")]
    lease_threshold_percent: Annotated[
        int,
        Range(0, 99, "of a lease as granted: with less left after a sale, the lane asks for more; 0: never"),
    ]

    proof_fresh_s: Annotated[int, Range(10, 300, "age of a pass's proof at the scan, at most")]
    proof_tolerance_s: Annotated[int, Range(0, 120, "difference between the phone's clock and the lane's, at most")]
    proof_bound_s: Annotated[int, Range(60, 3_600, "how long a fresh proof stays bound to its sale")]
    statement_shown_min_s: Annotated[
        int, Range(0, 60, "how long the costs of a plan are shown before it may be chosen, at least; 0: not looked at")
    ]
    captures_max: Annotated[int, Range(1, 99, "captures of one sale, at most; the last one releases the rest")]
    hold_valid_s: Annotated[int, Range(3_600, 31 * _DAY_S, "how long an approved sale may wait for its capture")]
    signature_minor: Annotated[int, _minor("smallest amount that the customer signs for on the slip; 0: none")]
    online_budget_ms: Annotated[int, Range(100, 30_000, "time in which the backend must answer, in all")]


LIMITS: dict[str, Range] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(Limits, include_extras=True).items()
}

# A lower limit only notes what an upper one declines, so it must speak first.
LOWER_AND_UPPER = tuple((name, name.replace("_lower", "_upper")) for name in LIMITS if "_lower" in name)

# What follows from a situation and a policy; `agent.core.derived` fills exactly these.
DERIVED: dict[str, Variable] = {
    "lease_remaining_minor": Variable(0, MINOR_MAX, "what the lane may still spend of the account's lease, by its age"),
    "sale_category_excluded": Variable(False, True, "the policy excludes the sale's category"),
    "sale_purpose_excluded": Variable(False, True, "the policy excludes the sale's category for purpose-bound credit"),
    "travel_kmh_max": Variable(1, 2_000, "fastest plausible speed by road at this hour of the store's day"),
    "probe_percent": Variable(0, 100, "of a hundred sales of this amount, selected at random"),
}

VARIABLES: dict[str, Variable] = {
    name: variable for name, variable in FIELDS.items() if name not in JUDGED_BEFORE_RULES
} | DERIVED

RULE_VARIABLES: dict[str, Variable] = VARIABLES | {
    name: Variable(limit.low, limit.high, limit.meaning) for name, limit in LIMITS.items()
}

# What a lender's backend knows as well as a lane; a rule of scope `always` names nothing else. There the windows are
# over the lender's books of all lanes.
ONLINE_VARIABLES: dict[str, Variable] = {
    name: variable
    for name, variable in RULE_VARIABLES.items()
    if name in LIMITS or (name in VARIABLES and name not in OF_THE_LANE_ALONE)
}


def limit_values(limits: Limits) -> dict[str, Value]:
    """The limits as rule variables of the same names."""
    return {name: getattr(limits, name) for name in LIMITS}
