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
    "proof_fresh_s": 60,
    "proof_tolerance_s": 30,
    "proof_bound_s": 300,
    "online_budget_ms": 1_500,
}

# Merchant categories with a floor limit of their own (ISO 18245).
FLOOR_LIMITS: dict[str, int] = {
    "5411": 80_000,  # grocery stores, supermarkets
    "5732": 50_000,  # electronics: easy to sell on, so cash-out is easy too
    "5814": 30_000,  # fast food
    "5944": 30_000,  # jewellery
}


def _rule(rule_id: str, effect: str, response_code: str, reason: str, when: str) -> dict[str, str]:
    code = {"response_code": response_code} if response_code else {}
    return {"id": rule_id, "effect": effect, "reason": reason, "when": when} | code


RULES: list[dict[str, str]] = [
    _rule("floor-limit", "decline", "61", "floor_limit", "sale_amount_minor >= floor_limit_minor"),
    _rule(
        "low-tier",
        "decline",
        "61",
        "floor_limit",
        "account_tier <= low_tier_max && sale_amount_minor >= low_tier_floor_limit_minor",
    ),
    _rule(
        "account-count-upper",
        "decline",
        "65",
        "account_cumulative",
        "account_count + 1 > account_consecutive_upper",
    ),
    _rule(
        "account-amount-upper",
        "decline",
        "61",
        "account_cumulative",
        "account_cumulative_minor + sale_amount_minor > account_cumulative_upper_minor",
    ),
    _rule("lane-count-upper", "decline", "65", "lane_cumulative", "lane_count + 1 > lane_consecutive_upper"),
    _rule(
        "lane-amount-upper",
        "decline",
        "61",
        "lane_cumulative",
        "lane_cumulative_minor + sale_amount_minor > lane_cumulative_upper_minor",
    ),
    _rule("step-up", "step_up", "1A", "step_up", "sale_amount_minor >= step_up_minor && !pass_user_verified"),
    _rule("step-up-always", "step_up", "1A", "step_up", "account_step_up_always && !pass_user_verified"),
    _rule(
        "account-count-lower",
        "go_online",
        "",
        "account_cumulative",
        "account_count + 1 > account_consecutive_lower",
    ),
    _rule(
        "account-amount-lower",
        "go_online",
        "",
        "account_cumulative",
        "account_cumulative_minor + sale_amount_minor > account_cumulative_lower_minor",
    ),
    _rule("lane-count-lower", "go_online", "", "lane_cumulative", "lane_count + 1 > lane_consecutive_lower"),
    _rule(
        "lane-amount-lower",
        "go_online",
        "",
        "lane_cumulative",
        "lane_cumulative_minor + sale_amount_minor > lane_cumulative_lower_minor",
    ),
    _rule("snapshot-soft-age", "go_online", "", "snapshot_age", "snapshot_age_s > snapshot_soft_age_s"),
    _rule("below-floor", "flag", "", "floor_limit", "sale_amount_minor * 100 >= floor_limit_minor * 95"),
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
        "rules": [dict(rule) for rule in RULES],
        "instalments": default_instalments(),
    }
