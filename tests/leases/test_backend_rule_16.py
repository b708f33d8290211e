"""Several lenders at one backend (lease rules 1, 14 and 16): a lane's word for one frees nothing of another.

Both lenders have an account of the same token and of the same limit of 100, so whatever forgets the lender mixes them
up. Amounts are minor units.
"""

from collections.abc import Iterator

import pytest

from backend import accounts, audit, lenders, snapshots
from backend.database import transact
from backend.schema import Account, Dispute
from tests.backend.lanes import DAY_S, LENDER, PaperLane, Shop

OTHER = "otherlend"


@pytest.fixture
def two(books: str) -> Iterator[Shop]:
    shop = Shop.open(books, 100, allowance_minor=100)
    now_s, randomness = shop.clock.now_s, shop.chance.randbytes

    def open_other() -> None:
        lenders.create(OTHER, "Other Lend", "CNY", now_s=now_s, randomness=randomness)
        accounts.add(OTHER, shop.token, 100)

    transact(shop.backend.database, open_other)
    shop.clock.now_s += 1  # what is in force is looked at once a second
    yield shop
    assert shop.findings() == []
    shop.close()


def state_of(shop: Shop, lender: str) -> audit.AccountState:
    row = accounts.find(lender, shop.token)
    assert row is not None
    return audit.account_state(row)


def leased_by_both(shop: Shop, name: str) -> PaperLane:
    """The lane has 100 of each lender, and has told that it has."""
    lane = shop.lanes[name]
    for lender in (LENDER, OTHER):
        shop.cut(name, lender=lender)
        lane.install(lender=lender)
    lane.upload()
    return lane


def test_rule_1_a_lanes_word_for_one_lender_sets_nothing_of_another_free(two: Shop) -> None:
    """The other lender's clock is three days ahead; with one horizon for all, its next entry would set our lease free
    at the backend, which grants it to B, while A still spends it by our lender's time: 200 of 100."""
    a = leased_by_both(two, "A")
    a.write("print", {"job_id": 1, "rung": "confirmed", "copy": False}, lender=OTHER, now_s=two.clock.now_s + 3 * DAY_S)
    assert a.upload() == ["accepted"]
    assert state_of(two, OTHER).outstanding_minor == 0
    assert state_of(two, LENDER).outstanding_minor == 100
    two.cut("B")
    two.lanes["B"].install()
    assert two.lanes["B"].remaining(two.token) == 0
    a.stand_in(100)
    assert a.upload() == ["accepted"]


def test_rule_1_an_entry_of_no_lender_ends_no_lease_whatever_it_says(two: Shop) -> None:
    a = leased_by_both(two, "A")
    a.stand_in(1)
    end = a.entries[-1].entry
    a.write(
        "print", {"job_id": 1, "rung": "confirmed", "copy": False}, lender=None, now_s=end.lease_horizon + 9 * DAY_S
    )
    assert a.upload() == ["accepted", "accepted"]
    assert [state_of(two, lender).outstanding_minor for lender in (LENDER, OTHER)] == [99, 100]


def test_rule_1_a_lane_that_swears_to_less_than_before_is_shown_to_people_and_gets_no_lease_back(two: Shop) -> None:
    a = leased_by_both(two, "A")
    two.clock.now_s += 2 * DAY_S
    a.write("print", {"job_id": 1, "rung": "confirmed", "copy": False})
    a.head = type(a.head)(a.head.lane, a.head.epoch, a.head.number, a.head.hash)
    a.write("print", {"job_id": 1, "rung": "confirmed", "copy": False}, now_s=two.clock.now_s - 2 * DAY_S)
    assert a.upload() == ["accepted", "disputed:horizon_lowered"]
    assert state_of(two, LENDER).outstanding_minor == 0
    assert [(row.lender, row.bearer) for row in Dispute.select()] == [(LENDER, "operator")]


def test_rule_16_what_is_spent_of_one_lenders_account_is_not_spent_of_anothers(two: Shop) -> None:
    a = leased_by_both(two, "A")
    a.stand_in(60)
    a.stand_in(70, lender=OTHER)
    a.stand_in(50)
    assert a.upload() == ["accepted", "accepted", "disputed:lease_excess"]
    assert (state_of(two, LENDER).held_minor, state_of(two, OTHER).held_minor) == (100, 70)


def test_rule_16_layers_are_counted_lender_by_lender(two: Shop) -> None:
    assert [two.cut("A"), two.cut("A"), two.cut("A", lender=OTHER)] == [1, 2, 1]
    assert snapshots.newest_stored("A", OTHER) == 1
    two.lanes["A"].install()
    two.lanes["A"].upload()
    assert state_of(two, OTHER).outstanding_minor == 100, "what is installed of one says nothing of the other's"


def test_rule_16_a_change_of_one_lenders_account_is_in_that_lenders_layers_only(two: Shop) -> None:
    leased_by_both(two, "A")
    account = Account.get(Account.lender == OTHER)
    transact(two.backend.database, lambda: accounts.set_blocked(account, True))
    changed = {lender: bool(two.refresh("A", lender)) for lender in (LENDER, OTHER)}
    assert changed == {LENDER: False, OTHER: True}
