"""The tables of the backend.

The one rule: every key begins with lane or account, so that the tables shard by one of them, and no row is counted
from a sequence that all lanes share. ``lender`` is in every key that concerns money. Amounts, numbers and times are
64 bits wide everywhere.

Opening a database binds these tables to it: a process works on one database at a time.
"""

from __future__ import annotations

from typing import Any

from backend.schema.accounts import Account, Posting, RecentMove, Visit
from backend.schema.instalments import CouponUse, MerchantShare, PlanSale
from backend.schema.journals import Dispute, Journal, JournalEntry, QuarantinedEntry, Resolution
from backend.schema.lanes import Certificate, EnrollmentCode, EpochChange, Lane, StorePlace, Stranger
from backend.schema.leases import Cutting, Horizon, Installed, LeaseGrant, Recall, SnapshotLayer
from backend.schema.lenders import Contract, KeptPolicy, Lender, LenderKey
from backend.schema.plans import PlannedLease, PlanRun
from backend.schema.reports import LaneReport, LayerReport, Recovery, Tide
from backend.schema.sales import CapUse, Claim, Hold, OnlineAnswer, Settlement, ShownCode, SlipRefund, UsedProof
from backend.schema.wallets import RailDuty, SandboxPayment, SandboxReturn, WalletPayment

__all__ = [
    "TABLES",
    "VERSION",
    "Account",
    "CapUse",
    "Certificate",
    "Claim",
    "Contract",
    "CouponUse",
    "Cutting",
    "Dispute",
    "EnrollmentCode",
    "EpochChange",
    "Hold",
    "Horizon",
    "Installed",
    "Journal",
    "JournalEntry",
    "KeptPolicy",
    "Lane",
    "LaneReport",
    "LayerReport",
    "LeaseGrant",
    "Lender",
    "LenderKey",
    "MerchantShare",
    "OnlineAnswer",
    "PlanRun",
    "PlanSale",
    "PlannedLease",
    "Posting",
    "QuarantinedEntry",
    "RailDuty",
    "Recall",
    "RecentMove",
    "Recovery",
    "Resolution",
    "SandboxPayment",
    "SandboxReturn",
    "Settlement",
    "ShownCode",
    "SlipRefund",
    "SnapshotLayer",
    "StorePlace",
    "Stranger",
    "Tide",
    "UsedProof",
    "Visit",
    "WalletPayment",
]

VERSION = 17
"""The version of this schema, kept in the database."""

TABLES: tuple[Any, ...] = (
    Lender, LenderKey, Contract, Account, Posting, Lane, Journal, Installed, Horizon, LeaseGrant, Recall,
    SnapshotLayer, Cutting, JournalEntry, Hold, OnlineAnswer, UsedProof, CapUse, Dispute, Resolution, Visit,
    RecentMove, Settlement, EnrollmentCode, Certificate, EpochChange, QuarantinedEntry, Claim, WalletPayment,
    RailDuty, SandboxPayment, Recovery, LaneReport, LayerReport, Stranger, PlanSale, CouponUse, PlannedLease, PlanRun,
    MerchantShare, KeptPolicy, SandboxReturn, SlipRefund, StorePlace, Tide, ShownCode,
)  # fmt: skip
