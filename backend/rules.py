"""The policy's rules of scope `always`, asked online: the lane's own engine over the lender's books.

The one rule: the same conditions, the same limits; only the books are wider, those of all lanes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from agent.core.cel_rules import Value
from agent.core.credit_pass import CreditPass
from agent.core.decision import spoken_rules
from agent.core.policy import Policy
from agent.core.policy_rules import Rule
from agent.core.recent import Recent
from backend.schema import Account
from backend.wire import AuthorizationRequest

ZONE: Final = ZoneInfo("Asia/Shanghai")
"""Of every store of this backend; a lane has its own setting."""


def speak(  # noqa: PLR0917  # what a decision looks at, and the time
    request: AuthorizationRequest, scanned: CreditPass, account: Account, policy: Policy, recent: Recent, now_s: int
) -> tuple[Rule, ...]:
    """The rules that fired, or could not be evaluated, in the policy's order."""
    asked = [rule for rule in policy.rules if rule.scope == "always"]
    values = _values(request, scanned, account, recent)
    local = datetime.fromtimestamp(now_s, UTC).astimezone(ZONE)
    values |= {"clock_minute_of_day": local.hour * 60 + local.minute, "clock_at_s": now_s}
    values |= policy.limit_values | policy.of_category(request.category)
    values["travel_kmh_max"] = policy.travel_kmh[local.hour]
    return tuple(rule for rule, _ in spoken_rules(asked, values))


def answering(spoken: tuple[Rule, ...]) -> Rule | None:
    """The rule that gives the answer: the first that declines or refers, else the first that asks for a step-up."""
    for effects in (("decline", "refer"), ("step_up",)):
        found = next((rule for rule in spoken if rule.effect in effects), None)
        if found:
            return found
    return None


def _values(request: AuthorizationRequest, scanned: CreditPass, account: Account, recent: Recent) -> dict[str, Value]:
    return {
        "sale_amount_minor": request.amount.minor,
        "sale_merchant_category": request.category,
        "pass_tier": scanned.credential.tier,
        "pass_user_verified": scanned.proof.user_verified,
        "pass_cap_minor": scanned.credential.cap_minor,
        "account_tier": account.tier,
        "account_step_up_always": account.step_up,
        "account_purpose_bound": scanned.credential.purpose_bound,
        "velocity_count": recent.velocity_count,
        "velocity_minor": recent.velocity_minor,
        "account_round_count": recent.round_count,
        "account_near_limit_count": recent.near_limit_count,
        "account_refund_count": recent.refund_count,
        "account_refund_minor": recent.refund_minor,
        "travel_known": False,
        "travel_km": 0,
        "travel_elapsed_s": 0,
    }
