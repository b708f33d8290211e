"""Every case, in the order in which they are tried: what others rely on comes first."""

from __future__ import annotations

from typing import Final

from agent.conformance.case import Case
from agent.conformance.cases import (
    authorization,
    claims,
    documents,
    entries,
    events,
    identity,
    instalments,
    journal,
    leases,
    lenders,
    recovery,
    settlement,
    shown_codes,
    transport,
    wallets,
)

GROUPS: Final = tuple(
    module.GROUP
    for module in (
        identity, transport, documents, authorization, leases, lenders, instalments, wallets, shown_codes, journal,
        entries, settlement, claims, events, recovery,
    )
)  # fmt: skip
CASES: Final[tuple[Case, ...]] = tuple(case for group in GROUPS for case in group.cases)
