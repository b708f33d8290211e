"""Lease rule 12 at the lane: a journal is (lane, epoch, number); a replacement begins a new one at 1.

*(A replacement goes on with the numbers of the device before it, and the two mix what they have spent.)*
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.journal import Head, Kind, follow, open_entry
from tests.services.lanes import CUSTOMER, LENDER, Till, order
from tests.uplink.world import run

PREVIOUS = {"epoch": 1, "number": 41, "hash": b"h" * 32}


def replacement(directory: Path) -> Till:
    till = Till(directory, ready=False)
    till.settings |= {"epoch_reason": "replaced", "previous": PREVIOUS}
    till.epoch = 2
    till.put_back({})
    till.tell_time()
    till.lane.lenders.install_policy(LENDER, till.lender.policy())
    return till


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    till = replacement(tmp_path)
    yield till
    till.close()


def sell(till: Till, sale_id: str) -> str:
    reason: str = run(till.checkout.sell(order(sale_id, 100), till.phone().code())).reason
    return reason


def test_the_journal_of_a_replacement_begins_at_1_and_says_what_was_before(till: Till) -> None:
    sent = till.lane.forwarding.next_upload(100, 1 << 20)
    assert sent and (sent.epoch, sent.first) == (2, 1)
    assert list(follow(Head("lane-01", 2), sent.entries))
    first = open_entry(sent.entries[0]).entry
    assert (first.kind, first.body["reason"], first.body["previous"]) == (Kind.EPOCH_START, "replaced", PREVIOUS)


def test_a_lease_of_the_device_before_is_not_spent(till: Till) -> None:
    till.install({CUSTOMER: 10_000}, lease_epoch=1)
    assert sell(till, "sale-0001") == "snapshot_missing"
    till.install({CUSTOMER: 10_000}, lease_epoch=2)
    assert sell(till, "sale-0002") == "approved_offline"


def with_an_older_epoch(till: Till) -> None:
    """The same ledger with entries of epoch 1 that nobody has yet."""
    till.settings |= {"epoch_reason": "enrolled", "previous": None}
    till.epoch = 1
    till.put_back({})
    till.tell_time()
    till.lane.lenders.install_policy(LENDER, till.lender.policy())
    sell(till, "sale-0001")
    till.settings |= {"epoch_reason": "replaced", "previous": PREVIOUS}
    till.epoch = 2
    till.restart()


def test_entries_of_an_older_epoch_are_sent_beside_todays(till: Till) -> None:
    with_an_older_epoch(till)
    forwarding = till.lane.forwarding
    older, today = forwarding.next_upload(100, 1 << 20, older=True), forwarding.next_upload(100, 1 << 20)
    assert older and today and (older.epoch, today.epoch) == (1, 2)
    assert forwarding.depth == len(older.entries) + len(today.entries)
    forwarding.acknowledged(1, len(older.entries), [])
    assert forwarding.next_upload(100, 1 << 20, older=True) is None
    assert forwarding.depth == len(today.entries)


def test_what_is_refused_of_an_older_epoch_holds_up_no_sale_of_today(till: Till) -> None:
    with_an_older_epoch(till)
    forwarding = till.lane.forwarding
    forwarding.forked(1, 1)
    assert forwarding.next_upload(100, 1 << 20, older=True) is None
    assert forwarding.next_upload(100, 1 << 20) is not None
    till.install({CUSTOMER: 10_000}, lease_epoch=2)
    assert sell(till, "sale-0002") == "approved_offline"


def test_a_day_that_spans_two_devices_is_two_batches(till: Till) -> None:
    """Numbers begin again: what the old journal holds is closed with it, and nothing is counted twice."""
    with_an_older_epoch(till)
    assert till.ledger.open_batch(LENDER).first_number == 1
    (closed,) = till.ledger.unmatched_batches()
    assert (closed.epoch, closed.last_number) == (1, till.ledger.ends()[0].number)
    assert till.ledger.open_batch(LENDER).batch == closed.batch + 1
    assert till.ledger.verify() == till.ledger.head
