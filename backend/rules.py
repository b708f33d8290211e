"""The policy's rules of scope `always`, asked online: the lane's own engine over the lender's books.

The one rule: the same conditions, the same limits; only the books are wider, those of all lanes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from agent.core.cel_rules import Value
from agent.core.decision import spoken_rules
from agent.core.policy import Policy
from agent.core.policy_rules import Rule
from agent.core.recent import Recent
from agent.core.travel import offset_km, way
from backend.moves import Seen
from backend.places import Site
from backend.schema import Account


@dataclass(frozen=True, slots=True)
class Shown:
    """The sale, and what its customer's phone said of itself: by a pass, or by the lender's app."""

    amount_minor: int
    category: str
    tier: int
    is_user_verified: bool
    cap_minor: int = 0
    is_purpose_bound: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What the books say besides the account: its moves, where the lane stands, where it was last seen; and the time
    in UTC seconds."""

    recent: Recent
    site: Site
    seen: Seen | None
    now_s: int


def speak(shown: Shown, account: Account, policy: Policy, known: Known) -> tuple[Rule, ...]:
    """The rules that fired, or could not be evaluated, in the policy's order."""
    asked = [rule for rule in policy.rules if rule.scope == "always"]
    values = _values(shown, account, known.recent) | _way(known)
    local = datetime.fromtimestamp(known.now_s, UTC).astimezone(ZoneInfo(known.site.zone))
    values |= {"clock_minute_of_day": local.hour * 60 + local.minute, "clock_at_s": known.now_s}
    values |= policy.limit_values | policy.of_category(shown.category)
    values["travel_kmh_max"] = policy.travel_kmh[local.hour]
    return tuple(rule for rule, _ in spoken_rules(asked, values))


def answering(spoken: tuple[Rule, ...]) -> Rule | None:
    """The rule that gives the answer: the first that declines or refers, else the first that asks for a step-up."""
    for effects in (("decline", "refer"), ("step_up",)):
        found = next((rule for rule in spoken if rule.effect in effects), None)
        if found:
            return found
    return None


def _values(shown: Shown, account: Account, recent: Recent) -> dict[str, Value]:
    return {
        "sale_amount_minor": shown.amount_minor,
        "sale_merchant_category": shown.category,
        "pass_tier": shown.tier,
        "pass_user_verified": shown.is_user_verified,
        "pass_cap_minor": shown.cap_minor,
        "account_tier": account.tier,
        "account_step_up_always": account.step_up,
        "account_purpose_bound": account.purpose_bound or shown.is_purpose_bound,
        "velocity_count": recent.velocity_count,
        "velocity_minor": recent.velocity_minor,
        "account_round_count": recent.round_count,
        "account_near_limit_count": recent.near_limit_count,
        "account_refund_count": recent.refund_count,
        "account_refund_minor": recent.refund_minor,
    }


def _way(known: Known) -> dict[str, Value]:
    if known.site.place is None or known.seen is None:
        return {**way(None, 0)}
    return {**way(offset_km(known.site.place, known.seen.place), known.now_s - known.seen.at_s)}
