"""Decisions of this lane's journal, decided again by the policy that the ledger has kept of their time.

The one rule: a policy is taken by the lender and version that the entry names, never the one in force now.
"""

from __future__ import annotations

from agent.core.journal import Entry
from agent.core.policy import Policy, PolicyError, read_policy
from agent.core.replay import Replayed, replay
from agent.errors import UntrustedDocument
from agent.ports import Ledger


def policy_of(ledger: Ledger, entry: Entry) -> Policy | None:
    """The policy that the entry names; None if it names none. Raises UntrustedDocument if it is not kept, or no policy
    as this version reads one."""
    version = entry.body["policy_version"]
    if version is None or entry.lender is None:
        return None
    data = ledger.policy_of_version(entry.lender, version)
    if data is None:
        raise UntrustedDocument(f"policy {version} of {entry.lender} is not kept in this ledger")
    try:
        return read_policy(data)
    except PolicyError as error:
        raise UntrustedDocument(f"policy {version} of {entry.lender} cannot be read: {error}") from error


def replayed(ledger: Ledger, entry: Entry) -> Replayed | None:
    """An authorization or a decline, decided again; None if no rule was asked. Raises UntrustedDocument and
    SituationError."""
    return replay(entry, policy_of(ledger, entry))
