"""What the lane decided alone follows again from its ledger, also under policies that are no longer in force."""

import hashlib

import pytest

from agent.core.journal import Kind
from agent.errors import UntrustedDocument
from agent.services.replaying import replayed
from tests.services.lanes import CUSTOMER, STRANGER, Till, order
from tests.uplink.world import run

DECISIONS = (Kind.AUTHORIZATION, Kind.DECLINE)


def sell(till: Till, number: int, minor: int, account: bytes = CUSTOMER) -> None:
    run(till.checkout.sell(order(f"sale-{number:04}", minor), till.phone(account, cap_minor=200).code()))


def test_every_decision_of_a_day_is_replayed_by_the_policy_of_its_time(till: Till) -> None:
    amounts = (100, 150, 5_000, 90_000, 200, 250)
    for number, minor in enumerate(amounts):
        sell(till, number, minor, STRANGER if number % 2 else CUSTOMER)
    till.lane.lenders.install_policy(till.lender.name, till.lender.policy(2, floor_limit_minor=100))
    for number, minor in enumerate(amounts):
        sell(till, 100 + number, minor)
    decided = [sealed.entry for sealed in till.entries() if sealed.entry.kind in DECISIONS]
    assert {entry.body["policy_version"] for entry in decided} == {1, 2}
    assert {entry.kind for entry in decided} == set(DECISIONS)
    for entry in decided:
        again = replayed(till.ledger, entry)
        assert again is not None and again.differs == (), entry.sale_id


def test_every_policy_that_was_in_force_is_kept_as_its_entry_names_it(till: Till) -> None:
    till.lane.lenders.install_policy(till.lender.name, till.lender.policy(2))
    for sealed in till.entries(Kind.POLICY_INSTALLED):
        entry = sealed.entry
        kept = till.ledger.policy_of_version(entry.lender or "", entry.body["version"])
        assert kept is not None and hashlib.sha256(kept).digest() == entry.body["digest"]


def test_a_policy_that_the_ledger_never_had_is_said_to_be_missing(till: Till) -> None:
    sell(till, 1, 100)
    entry = till.entries(Kind.AUTHORIZATION)[0].entry
    entry.body["policy_version"] = 9  # type: ignore[index]
    with pytest.raises(UntrustedDocument, match=r"policy 9 of .* is not kept"):
        replayed(till.ledger, entry)
