"""An ordinary sale of 128.00 that a lease of 500.00 pays under the default policy, and ways to make others of it."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from agent.core.default_policy import default_policy
from agent.core.policy import parse_policy
from agent.core.situation import FIELDS, Situation

NOW = 1_800_000_000
HOUR = 3_600
DOCUMENT = default_policy("demo", version=7, issued_at=NOW - HOUR, expires_at=NOW + 24 * HOUR)
POLICY = parse_policy(DOCUMENT)

ORDINARY = Situation(
    lender="demo",
    sale_amount_minor=12_800,
    sale_currency="CNY",
    sale_merchant_category="5411",
    clock_trusted=True,
    clock_source="signed",
    clock_minute_of_day=16 * 60,
    clock_at_s=NOW,
    pass_tier=2,
    pass_user_verified=True,
    pass_cap_minor=8_000,
    probe_draw=99,
    snapshot_sequence=12,
    snapshot_policy_version_min=0,
    snapshot_age_s=HOUR,
    snapshot_soft_age_s=24 * HOUR,
    snapshot_hard_age_s=72 * HOUR,
    account_known=True,
    account_removed=False,
    account_blocked=False,
    account_tier=2,
    account_step_up_always=False,
    account_purpose_bound=False,
    travel_known=False,
    travel_km=0,
    travel_elapsed_s=0,
    lease_minor=50_000,
    lease_reserved_minor=0,
    lease_left_s=HOUR,
    account_count=0,
    account_cumulative_minor=0,
    lane_count=0,
    lane_cumulative_minor=0,
    cap_count=0,
    cap_cumulative_minor=0,
    velocity_count=0,
    velocity_minor=0,
    account_round_count=0,
    account_near_limit_count=0,
    lane_same_amount_count=0,
    account_refund_count=0,
    account_refund_minor=0,
)


def an_ordinary_sale(**changes: Any) -> Situation:
    return replace(ORDINARY, **changes)


def mostly(usual: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Rare values one time in ten: a situation has many parts, and refusals must not drown the approvals."""
    return st.integers(0, 9).flatmap(lambda draw: usual if draw else rare)


def usually(usual: Any, *rare: Any) -> st.SearchStrategy[Any]:
    return mostly(st.just(usual), st.sampled_from(rare))


amounts = st.integers(0, 120_000)
_counts = mostly(st.integers(0, 3), st.integers(0, 1_001))
_sums = mostly(st.integers(0, 40_000), amounts)
_USUAL: dict[str, st.SearchStrategy[Any]] = {
    "lender": usually("demo", "other"),
    "sale_amount_minor": st.integers(1, 10_000) | st.integers(1, 120_000),
    "sale_currency": usually("CNY", "USD"),
    "sale_merchant_category": st.sampled_from(["5411", "5814", "0000"]),
    "clock_trusted": usually(True, False),
    "clock_source": st.sampled_from(["signed", "holdover"]),
    "clock_at_s": mostly(st.integers(NOW - 5, NOW + HOUR), st.integers(NOW, NOW + 80 * HOUR)),
    "pass_cap_minor": amounts,
    "snapshot_sequence": usually(12, None),
    "snapshot_policy_version_min": usually(0, 7, 8),
    "snapshot_age_s": st.integers(0, 72 * HOUR),
    "snapshot_soft_age_s": st.just(24 * HOUR),
    "snapshot_hard_age_s": st.just(72 * HOUR),
    "account_known": usually(True, False),
    "account_removed": usually(False, True),
    "account_blocked": usually(False, True),
    "account_step_up_always": usually(False, True),
    "account_purpose_bound": usually(False, True),
    "travel_known": usually(False, True),
    "travel_elapsed_s": st.integers(0, 3 * HOUR),
    "lease_minor": amounts,
    "lease_reserved_minor": mostly(st.just(0), amounts),
    "lease_left_s": mostly(st.just(HOUR), st.integers(-5, 5)),
}


def _any_value(name: str) -> st.SearchStrategy[Any]:
    if name in _USUAL:
        return _USUAL[name]
    if name.endswith("_count"):
        return _counts
    if name.endswith("_minor"):
        return _sums
    low, high = FIELDS[name].low, FIELDS[name].high
    return st.booleans() if isinstance(low, bool) else st.integers(int(low), int(high))


situations = st.builds(Situation, **{name: _any_value(name) for name in FIELDS})
