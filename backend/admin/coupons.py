"""Operations on interest-free coupons.

The one rule: a coupon is written for one account, and signed by the lender's key of role coupon; nothing is stored
before it is used.
"""

from __future__ import annotations

from agent.core.coupons import ID_BYTES, BorneBy, Coupon, issue_coupon
from agent.core.money import MINOR_MAX
from agent.core.trust import Role
from backend.admin.named import lender_with, token_of
from backend.admin.operation import Answer, Refused
from backend.compose import Backend
from backend.lenders import CLOCK_SKEW_S

DAY_S = 24 * 3600
DAYS_MAX = 3_650


def issue(
    backend: Backend,
    *,
    account: str,
    lender: str | None = None,
    plans: list[str] | None = None,
    days: int = 30,
    amount_max_minor: int = MINOR_MAX,
    borne_by: BorneBy = "merchant",
) -> Answer:
    """A coupon of ``days`` for the plans that are named, or for all."""
    by = lender_with(backend, account, lender)
    terms = by.policy.instalments
    known = [plan.plan_id for plan in terms.plans] if terms else []
    if strange := sorted(set(plans or ()) - set(known)):
        raise Refused(f"the policy has no plan {', '.join(strange)}; it has {', '.join(known) or 'none'}")
    if not 1 <= days <= DAYS_MAX or not 1 <= amount_max_minor <= MINOR_MAX or borne_by not in ("lender", "merchant"):
        raise Refused(f"a coupon is for 1 to {DAYS_MAX} days and an amount of at least 1, borne by lender or merchant")
    now_s = backend.clock()
    coupon = Coupon(
        coupon_id=backend.randomness(ID_BYTES),
        lender=by.lender,
        account=token_of(account),
        valid_from=now_s - CLOCK_SKEW_S,
        expires_at=now_s + days * DAY_S,
        amount_max_minor=amount_max_minor,
        borne_by=borne_by,
        plans=tuple(plans or ()),
    )
    return {"coupon": issue_coupon(coupon, by.keys[Role.COUPON]), "id": coupon.coupon_id.hex(), "days": days}
