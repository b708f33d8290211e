"""Lease rule 8 at the lane: giving back is a journal entry, subtracted like a spend.

*(Given back by a message alone: the lane spends what the backend has re-granted. The backend's half is in
test_backend_rules.)*
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.journal import Kind
from agent.errors import LedgerUnavailable
from tests.services.lanes import CUSTOMER, LENDER, Till, codes, order

HELD = 10_000


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    till = Till(tmp_path, grants={CUSTOMER: HELD})
    yield till
    till.close()


def sell(till: Till, sale_id: str, minor: int) -> str | None:
    return codes([asyncio.run(till.checkout.sell(order(sale_id, minor), till.phone().code(user_verified=True)))])[0]


def test_rule_8_what_is_given_back_is_not_spent_any_more(till: Till) -> None:
    assert till.lane.leases.give_back(LENDER, CUSTOMER, 8_000) == 8_000
    (entry,) = till.entries(Kind.LEASE_RETURN)
    assert entry.entry.body["lease"] == {"epoch": 1, "delta_minor": 8_000}
    assert till.left() == HELD - 8_000
    assert sell(till, "sale-0001", 2_001) == "61"
    assert sell(till, "sale-0002", 2_000) == "00"


def test_rule_8_no_more_is_given_back_than_is_left(till: Till) -> None:
    assert sell(till, "sale-0001", 3_000) == "00"
    assert till.lane.leases.give_back(LENDER, CUSTOMER, HELD) == HELD - 3_000
    assert till.lane.leases.give_back(LENDER, CUSTOMER) == 0
    assert till.left() == 0


def test_rule_8_a_newer_snapshot_that_does_not_know_of_it_gives_nothing_again(till: Till) -> None:
    cut_at = tuple(till.ledger.head.position)
    till.lane.leases.give_back(LENDER, CUSTOMER, 4_000)
    till.install({CUSTOMER: HELD}, applied_through={"lane-01": cut_at})
    assert till.left() == HELD - 4_000
    till.install({CUSTOMER: HELD - 4_000})
    assert till.left() == HELD - 4_000


def test_rule_8_nothing_counts_as_given_back_that_is_not_durable(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise LedgerUnavailable("no")

    monkeypatch.setattr(till.ledger, "record", refuse)
    with pytest.raises(LedgerUnavailable):
        till.lane.leases.give_back(LENDER, CUSTOMER, 4_000)
    assert till.left() == HELD


def test_an_unknown_account_has_nothing_to_give_back(till: Till) -> None:
    assert till.lane.leases.give_back(LENDER, bytes(16)) == 0
    assert till.entries(Kind.LEASE_RETURN) == []


def test_rule_8_a_recall_takes_what_is_free_of_each_account_by_an_entry_and_a_second_one_nothing(till: Till) -> None:
    assert sell(till, "sale-0001", 3_000) == "00"
    asked = [bytes(16), CUSTOMER, *(number.to_bytes(16, "big") for number in range(1, 120)), CUSTOMER]
    assert asyncio.run(till.lane.leases.recalled(LENDER, asked, "limit_cut")) == []
    assert [sealed.entry.body["lease"]["delta_minor"] for sealed in till.entries(Kind.LEASE_RETURN)] == [HELD - 3_000]
    assert asyncio.run(till.lane.leases.recalled(LENDER, asked, "limit_cut")) == []
    assert len(till.entries(Kind.LEASE_RETURN)) == 1
    assert sell(till, "sale-0002", 1) != "00"


def test_rule_8_a_lapsed_lease_is_not_given_back_for_the_backend_has_it_already(till: Till) -> None:
    """The lane's own horizon passes the lease's end, the backend releases it, then the lane gives it back: the books
    would find more returned than is outstanding."""
    till.clock.pass_time(400 * 86_400)
    assert till.lane.leases.give_back(LENDER, CUSTOMER) == 0
    assert asyncio.run(till.lane.leases.recalled(LENDER, [CUSTOMER], "limit_cut")) == []
    assert till.entries(Kind.LEASE_RETURN) == []


def test_rule_8_what_nobody_used_for_the_holding_time_goes_back_by_itself(till: Till) -> None:
    """Ten thousand lie at a lane that the customer has left for good, and are missed where the customer shops now."""
    assert sell(till, "sale-0001", 3_000) == "00"
    holding_s = till.lane.lenders.all()[0].policy.limits.lease_holding_s  # type: ignore[union-attr]
    for passes_s, given_back in ((holding_s - 60, []), (60, [HELD - 3_000]), (holding_s, [HELD - 3_000])):
        till.clock.pass_time(passes_s)
        asyncio.run(till.lane.maintain())
        returned = [sealed.entry.body["lease"]["delta_minor"] for sealed in till.entries(Kind.LEASE_RETURN)]
        assert returned == given_back


def test_rule_8_a_lane_that_does_not_know_the_time_gives_nothing_back_by_itself(till: Till) -> None:
    assert sell(till, "sale-0001", 3_000) == "00"
    till.clock.wall += 400 * 86_400
    asyncio.run(till.lane.leases.tend())
    assert till.entries(Kind.LEASE_RETURN) == []
