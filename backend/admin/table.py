"""The table of what operators can do, by name.

The one rule: a verb of the command line is one row here, and works the same beside a running server and without one.
"""

from __future__ import annotations

from typing import Final

from backend.admin import (
    accounts,
    checks,
    codes,
    conformance,
    coupons,
    coverage,
    documents,
    exceptions,
    explaining,
    lanes,
    leases,
    lenders,
    restoring,
    settlements,
    stores,
)
from backend.admin.operation import Operation
from backend.population import importing

OPERATIONS: Final[dict[str, Operation]] = {
    "account.add": accounts.add,
    "account.show": accounts.show,
    "account.limit": accounts.set_limit,
    "account.block": accounts.block,
    "account.repay": accounts.repay,
    "account.phone": accounts.phone,
    "lender.add": lenders.add,
    "lender.merchants": lenders.set_merchants,
    "lender.list": lenders.every,
    "code.pay": codes.pay,
    "coupon.issue": coupons.issue,
    "lane.list": lanes.every,
    "lane.show": lanes.show,
    "lane.enroll_code": lanes.enroll_code,
    "lane.replace": lanes.replace,
    "lane.revoke": lanes.revoke,
    "lane.admit": lanes.admit,
    "lane.refuse": lanes.refuse,
    "lane.write_off": lanes.write_off,
    "store.place": stores.set_place,
    "store.list": stores.every,
    "lease.list": leases.outstanding,
    "lease.summary": coverage.summary,
    "lease.recall": leases.recall,
    "exception.list": exceptions.every,
    "exception.resolve": exceptions.resolve,
    "entry.explain": explaining.entry,
    "settlement.list": settlements.every,
    "snapshot.build": checks.build_snapshots,
    "keys.show": documents.show_keys,
    "keys.rotate": documents.rotate_key,
    "keys.revoke": documents.revoke_key,
    "policy.show": documents.show_policy,
    "policy.publish": documents.publish_policy,
    "recovery.show": restoring.show,
    "recovery.begin": restoring.begin,
    "conformance.kit": conformance.make_kit,
    "population.import": importing.run,
    "audit": checks.run_audit,
}
