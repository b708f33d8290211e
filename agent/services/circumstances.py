"""The circumstances of a sale at this lane, gathered into the one record that the lane's own decision looks at.

The one rule: whatever a decision needs is read here, once, and stored with it; the decision itself reads nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from agent.core.credit_pass import CreditPass
from agent.core.policy import Policy
from agent.core.recent import Recent, amount_subject, windows
from agent.core.situation import Situation, Totals
from agent.core.snapshot_layer import Record
from agent.core.snapshot_reader import Found
from agent.core.travel import way
from agent.core.trusted_time import ClockReading
from agent.ports import Ledger
from agent.services.lenders import Lender
from agent.services.reading import Case
from agent.services.stakes import LeaseView

NOTHING_SOLD: Final = Totals()


class Circumstances:
    """What a lane knows of a sale besides its lease. ``zone`` is the store's, by its IANA name."""

    def __init__(self, ledger: Ledger, zone: str) -> None:
        self._ledger, self._zone = ledger, ZoneInfo(zone)

    def of(self, case: Case, lease: LeaseView | None, reading: ClockReading) -> Situation:
        """All that the lane's own decision of this case looks at."""
        assert isinstance(case.verified, CreditPass), "anything else is refused at sight"
        sale, credential, lender = case.attempt.sale, case.verified.credential, case.lender
        at_s = max(reading.now_s, self._ledger.head.horizon_of(lender.lender))
        record = case.found.record if case.found else None
        recent = self._recent(case, lender.policy, at_s)
        return Situation(
            lender=credential.lender,
            sale_amount_minor=sale.amount.minor,
            sale_currency=sale.amount.currency,
            sale_merchant_category=sale.merchant_category,
            clock_trusted=reading.trusted,
            clock_source=reading.source,
            clock_minute_of_day=self._minute_of_day(at_s),
            clock_at_s=at_s,
            pass_tier=credential.tier,
            pass_user_verified=case.verified.proof.user_verified,
            pass_cap_minor=credential.cap_minor,
            probe_draw=case.draw,
            account_tier=record.tier if record else credential.tier,
            account_purpose_bound=credential.purpose_bound or (record is not None and record.purpose_bound),
            lease_minor=lease.remaining_minor if lease else 0,
            lease_reserved_minor=lease.reserved_minor if lease else 0,
            lease_left_s=lease.valid_until_s - at_s if lease else 0,
            velocity_count=recent.velocity_count,
            velocity_minor=recent.velocity_minor,
            account_round_count=recent.round_count,
            account_near_limit_count=recent.near_limit_count,
            account_refund_count=recent.refund_count,
            account_refund_minor=recent.refund_minor,
            **_of_snapshot(lender, case.found, self._ledger.head.epoch, at_s),
            **_of_record(record),
            **_of_travel(record, recent, at_s),
            **self._sold(case, lender.policy, reading.now_s),
        )

    def _recent(self, case: Case, policy: Policy | None, at_s: int) -> Recent:
        sale, account = case.attempt.sale, case.attempt.account
        if policy is None or account is None:
            return Recent()
        return self._ledger.recent(case.lender.lender, account, windows(policy, sale.merchant_category, at_s))

    def _sold(self, case: Case, policy: Policy | None, now_s: int) -> dict[str, Any]:
        """The totals of the policy's windows."""
        if policy is None:
            sold = dict.fromkeys(("account", "lane", "cap", "same"), NOTHING_SOLD)
        else:
            account, limits = case.attempt.account or b"", policy.limits
            amount = amount_subject(case.attempt.sale.amount.minor)
            chosen = {
                "account": ("account", account, limits.account_window_s),
                "lane": ("lane", b"", limits.lane_window_s),
                "cap": ("cap", account, limits.cap_window_s),
                "same": ("amount", amount, limits.cash_out_window_s),
            }
            read, lender = self._ledger.stand_in_totals, case.lender.lender
            sold = {name: read(lender, scope, who, now_s - size_s) for name, (scope, who, size_s) in chosen.items()}
        return {
            "account_count": sold["account"].count,
            "account_cumulative_minor": sold["account"].amount_minor,
            "lane_count": sold["lane"].count,
            "lane_cumulative_minor": sold["lane"].amount_minor,
            "cap_count": sold["cap"].count,
            "cap_cumulative_minor": sold["cap"].amount_minor,
            "lane_same_amount_count": sold["same"].count,
        }

    def _minute_of_day(self, at_s: int) -> int:
        local = datetime.fromtimestamp(at_s, UTC).astimezone(self._zone)
        return local.hour * 60 + local.minute


def _of_snapshot(lender: Lender, found: Found | None, epoch: int, at_s: int) -> dict[str, Any]:
    """No sequence without a snapshot for this epoch: one of another life of this lane says nothing about this one."""
    if lender.stack is None or lender.stack.newest.lease_epoch != epoch:
        ages = dict.fromkeys(("snapshot_age_s", "snapshot_soft_age_s", "snapshot_hard_age_s"), 0)
        return {"snapshot_sequence": None, "snapshot_policy_version_min": 0} | ages
    newest = lender.stack.newest
    layer = found.manifest if found else newest
    return {
        "snapshot_sequence": newest.sequence,
        "snapshot_policy_version_min": newest.policy_version,
        "snapshot_age_s": max(0, at_s - layer.built_at),
        "snapshot_soft_age_s": layer.soft_age_s,
        "snapshot_hard_age_s": layer.hard_age_s,
    }


def _of_record(record: Record | None) -> dict[str, bool]:
    return {
        "account_known": record is not None,
        "account_removed": record is not None and record.removed,
        "account_blocked": record is not None and record.blocked,
        "account_step_up_always": record is not None and record.step_up,
    }


def _of_travel(record: Record | None, recent: Recent, at_s: int) -> dict[str, Any]:
    """Places are in km east and north of the layer's origin, which is the store. Nothing is known of a way that ended
    here: the account has bought at this lane since it was seen elsewhere."""
    seen_s = record.last_seen_s if record else None
    if record is None or record.place is None or seen_s is None or recent.last_at_s >= seen_s:
        return way(None, 0)
    return way(record.place, at_s - seen_s)
