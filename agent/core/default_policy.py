"""The default policy as data: what a lender starts from and edits.

The one rule: only data here. Amounts in minor units (fen), as a supermarket in China would set them; the daily bound of
an account is the 1,000.00 that PBoC notice [2017] 296 sets for a payer's barcode payments of grade C.

Not here, because no policy may switch it off: a blocked or removed account, an untrusted clock, the hard age of a
snapshot, and the funding of a sale by its lease or by the pass's own cap. `agent.core.decision` guards these.
"""

from typing import Any

from agent.core.default_plans import default_instalments

_HOUR_S = 3_600
_DAY_S = 24 * _HOUR_S

LIMITS: dict[str, int] = {
    "floor_limit_minor": 100_000,
    "low_tier_max": 0,
    "low_tier_floor_limit_minor": 50_000,
    "step_up_minor": 30_000,
    "account_window_s": _DAY_S,
    "account_consecutive_lower": 3,
    "account_consecutive_upper": 8,
    "account_cumulative_lower_minor": 50_000,
    "account_cumulative_upper_minor": 100_000,
    "lane_window_s": _DAY_S,
    "lane_consecutive_lower": 200,
    "lane_consecutive_upper": 1_000,
    "lane_cumulative_lower_minor": 2_000_000,
    "lane_cumulative_upper_minor": 5_000_000,
    "cap_minor_max": 10_000,
    "cap_account_cumulative_minor": 20_000,
    "cap_window_s": 7 * _DAY_S,
    "velocity_window_s": 600,
    "velocity_count_max": 5,
    "cash_out_window_s": _DAY_S,
    "round_unit_minor": 10_000,
    "account_round_count_max": 2,
    "lane_round_count_max": 20,
    "near_limit_percent": 90,
    "near_limit_count_max": 2,
    "refund_window_s": 7 * _DAY_S,
    "refund_count_max": 3,
    "travel_slack_km": 5,
    "travel_near_km": 60,
    "travel_far_kmh_max": 900,  # by air, from door to door of a shop
    "hours_from_minute": 0,
    "hours_to_minute": 1_440,
    "stale_floor_limit_minor": 30_000,
    "probe_percent_low": 2,
    "probe_percent_high": 20,
    "probe_threshold_minor": 5_000,
    "lease_holding_s": _DAY_S,
    "lease_threshold_percent": 25,
    "proof_fresh_s": 60,
    "proof_tolerance_s": 30,
    "proof_bound_s": 300,
    "statement_shown_min_s": 0,
    "captures_max": 1,
    "hold_valid_s": 7 * _DAY_S,
    "signature_minor": 0,
    "online_budget_ms": 1_500,
}

# Merchant categories with a floor limit of their own (ISO 18245).
FLOOR_LIMITS: dict[str, int] = {
    "5411": 80_000,  # grocery stores, supermarkets
    "5732": 50_000,  # electronics: easy to sell on, so cash-out is easy too
    "5814": 30_000,  # fast food
    "5944": 30_000,  # jewellery
}


# Categories with hours of their own, in minutes of the store's day; the others have those of the limits.
HOURS: dict[str, list[int]] = {
    "5944": [8 * 60, 23 * 60],  # jewellery is not bought at night
}

# What no credit of this kind may pay (ISO 18245): securities, betting, quasi-cash, money orders.
EXCLUDED_CATEGORIES: list[str] = ["4829", "6012", "6051", "6211", "7995"]

# What purpose-bound credit (for a household, for studies) may not pay besides: jewellery, art, real estate, bars.
PURPOSE_EXCLUDED_CATEGORIES: list[str] = ["5094", "5813", "5932", "5944", "5971", "6513"]

# The fastest plausible way across a city, in km/h by the hour of the day: jams at rush hour, empty roads at night.
TRAVEL_KMH: list[int] = [100] * 6 + [70] + [50] * 3 + [60] * 7 + [50] * 3 + [60] * 2 + [80] * 2


def _rule(rule_id: str, answer: str, reason: str, when: str, scope: str = "stand_in") -> dict[str, str]:
    """``answer``: the effect and, for those that have one, the response code."""
    effect, _, code = answer.partition(" ")
    rule = {"id": rule_id, "effect": effect, "reason": reason, "when": when}
    return rule | ({"response_code": code} if code else {}) | ({"scope": scope} if scope != "stand_in" else {})


_ALWAYS = "always"
_HOURS = (
    "hours_from_minute <= hours_to_minute"
    " && (clock_minute_of_day < hours_from_minute || clock_minute_of_day >= hours_to_minute)"
    " || hours_from_minute > hours_to_minute"
    " && clock_minute_of_day < hours_from_minute && clock_minute_of_day >= hours_to_minute"
)
_TOO_FAST = "(travel_km - travel_slack_km) * 3600 > {kmh} * travel_elapsed_s"
_NEAR = f"travel_known && travel_km <= travel_near_km && {_TOO_FAST.format(kmh='travel_kmh_max')}"
_FAR = f"travel_known && travel_km > travel_near_km && {_TOO_FAST.format(kmh='travel_far_kmh_max')}"

RULES: list[dict[str, str]] = [
    _rule("excluded-category", "decline 57", "category_excluded", "sale_category_excluded", _ALWAYS),
    _rule(
        "purpose-category",
        "decline 57",
        "purpose_excluded",
        "account_purpose_bound && sale_purpose_excluded",
        _ALWAYS,
    ),
    _rule("outside-hours", "decline 57", "outside_hours", _HOURS, _ALWAYS),
    _rule("travel-near", "decline 59", "travel", _NEAR, _ALWAYS),
    _rule("travel-far", "decline 59", "travel", _FAR, _ALWAYS),
    _rule("velocity-count", "decline 65", "velocity", "velocity_count + 1 > velocity_count_max", _ALWAYS),
    _rule(
        "cash-out-account",
        "decline 59",
        "cash_out",
        "sale_amount_minor % round_unit_minor == 0 && account_round_count + 1 > account_round_count_max",
        _ALWAYS,
    ),
    _rule(
        "cash-out-lane",
        "decline 59",
        "cash_out",
        "sale_amount_minor % round_unit_minor == 0 && lane_same_amount_count + 1 > lane_round_count_max",
    ),
    _rule(
        "cash-out-near-limit",
        "decline 59",
        "cash_out",
        "sale_amount_minor * 100 >= floor_limit_minor * near_limit_percent && sale_amount_minor < floor_limit_minor"
        " && account_near_limit_count + 1 > near_limit_count_max",
    ),
    _rule("refund-cycle", "decline 59", "cash_out", "account_refund_count > refund_count_max", _ALWAYS),
    _rule("floor-limit", "decline 61", "floor_limit", "sale_amount_minor >= floor_limit_minor"),
    _rule(
        "split-floor",
        "decline 61",
        "floor_limit",
        "velocity_count > 0 && sale_amount_minor < floor_limit_minor"
        " && velocity_minor + sale_amount_minor >= floor_limit_minor",
    ),
    _rule(
        "low-tier",
        "decline 61",
        "floor_limit",
        "account_tier <= low_tier_max && sale_amount_minor >= low_tier_floor_limit_minor",
    ),
    _rule(
        "stale-floor",
        "decline 61",
        "floor_limit",
        "snapshot_age_s > snapshot_soft_age_s && sale_amount_minor >= stale_floor_limit_minor",
    ),
    _rule("account-count-upper", "decline 65", "account_cumulative", "account_count + 1 > account_consecutive_upper"),
    _rule(
        "account-amount-upper",
        "decline 61",
        "account_cumulative",
        "account_cumulative_minor + sale_amount_minor > account_cumulative_upper_minor",
    ),
    _rule("lane-count-upper", "decline 65", "lane_cumulative", "lane_count + 1 > lane_consecutive_upper"),
    _rule(
        "lane-amount-upper",
        "decline 61",
        "lane_cumulative",
        "lane_cumulative_minor + sale_amount_minor > lane_cumulative_upper_minor",
    ),
    _rule("step-up", "step_up 1A", "step_up", "sale_amount_minor >= step_up_minor && !pass_user_verified", _ALWAYS),
    _rule("step-up-always", "step_up 1A", "step_up", "account_step_up_always && !pass_user_verified", _ALWAYS),
    _rule(
        "split-step-up",
        "step_up 1A",
        "step_up",
        "!pass_user_verified && velocity_minor + sale_amount_minor >= step_up_minor && velocity_count > 0",
        _ALWAYS,
    ),
    _rule("random-probe", "step_up 1A", "step_up", "!pass_user_verified && probe_draw < probe_percent"),
    _rule("account-count-lower", "go_online", "account_cumulative", "account_count + 1 > account_consecutive_lower"),
    _rule(
        "account-amount-lower",
        "go_online",
        "account_cumulative",
        "account_cumulative_minor + sale_amount_minor > account_cumulative_lower_minor",
    ),
    _rule("lane-count-lower", "go_online", "lane_cumulative", "lane_count + 1 > lane_consecutive_lower"),
    _rule(
        "lane-amount-lower",
        "go_online",
        "lane_cumulative",
        "lane_cumulative_minor + sale_amount_minor > lane_cumulative_lower_minor",
    ),
    _rule("snapshot-soft-age", "go_online", "snapshot_age", "snapshot_age_s > snapshot_soft_age_s"),
    _rule("below-floor", "flag", "floor_limit", "sale_amount_minor * 100 >= floor_limit_minor * 95"),
]


def default_policy(
    lender: str, *, version: int, issued_at: int, expires_at: int, currency: str = "CNY"
) -> dict[str, Any]:
    """The payload for `parse_policy`; times in UTC seconds."""
    return {
        "lender": lender,
        "version": version,
        "issued_at": issued_at,
        "expires_at": expires_at,
        "currency": currency,
        "limits": dict(LIMITS),
        "floor_limits": dict(FLOOR_LIMITS),
        "hours": {category: list(hours) for category, hours in HOURS.items()},
        "excluded_categories": list(EXCLUDED_CATEGORIES),
        "purpose_excluded_categories": list(PURPOSE_EXCLUDED_CATEGORIES),
        "travel_kmh": list(TRAVEL_KMH),
        "rules": [dict(rule) for rule in RULES],
        "instalments": default_instalments(),
    }
