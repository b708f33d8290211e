"""Who lost the slip knows the amount, the account's last four or the day: the sale is found, with bounded work."""

from datetime import date

import pytest

from agent.services import earlier_sales
from agent.services.earlier_sales import Found
from agent.store.ledger import SqliteLedger
from tests.services.lanes import CUSTOMER, DAY_S, HOUR_S, Till, order
from tests.uplink.world import run

TODAY = date(2027, 1, 15)  # NOW_S is 16:00 in Shanghai
TAIL = CUSTOMER.hex()[-4:]


def sell(till: Till, minor: int, sale_id: str) -> None:
    run(till.checkout.sell(order(sale_id, minor), till.phone().code()))


def find(
    till: Till, day: date | None = None, amount_minor: int | None = None, tail: str | None = None, limit: int = 20
) -> Found:
    return run(till.lane.earlier.find(day, amount_minor, tail, limit))


@pytest.fixture
def shop(till: Till) -> Till:
    """Three sales today and, after the store's midnight, two tomorrow."""
    for number, minor in enumerate((100, 200, 100)):
        sell(till, minor, f"sale-000{number}")
    till.clock.pass_time(9 * HOUR_S)
    for number, minor in enumerate((100, 300), 3):
        sell(till, minor, f"sale-000{number}")
    return till


def test_a_sale_is_found_by_what_its_customer_remembers_the_newest_first(shop: Till) -> None:
    assert find(shop, amount_minor=100).sale_ids == ("sale-0003", "sale-0002", "sale-0000")
    assert find(shop, TODAY, amount_minor=100).sale_ids == ("sale-0002", "sale-0000")
    assert find(shop, date(2027, 1, 16)).sale_ids == ("sale-0004", "sale-0003")
    assert len(find(shop, tail=TAIL).sale_ids) == 5
    assert find(shop, tail="ffff") == find(shop, amount_minor=101) == find(shop, date(2027, 1, 17)) == Found((), False)


def test_more_than_were_asked_for_is_said(shop: Till) -> None:
    assert find(shop, limit=2) == Found(("sale-0004", "sale-0003"), True)
    assert find(shop, limit=5).more is False


def test_a_sale_stands_at_its_own_day_whatever_became_of_it_later(shop: Till) -> None:
    run(shop.lane.holds.refund("sale-0001", 200, request="r-1", reason="cashier"))
    assert find(shop, amount_minor=200).sale_ids == ("sale-0001",)
    assert find(shop, TODAY, amount_minor=200).sale_ids == ("sale-0001",)
    assert find(shop, limit=1).sale_ids == ("sale-0004",)


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_steps_lose_and_repeat_no_sale(shop: Till, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(earlier_sales, "STEP_ENTRIES", step)
    assert len(find(shop).sale_ids) == len(set(find(shop).sale_ids)) == 5
    assert len(find(shop, TODAY).sale_ids) == 3


def test_without_a_day_so_many_entries_are_looked_at_and_a_day_finds_what_is_older(
    shop: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    begun = SqliteLedger.sales_begun

    def counted(ledger: SqliteLedger, within: earlier_sales.Stretch, wanted: earlier_sales.WantedSale) -> object:
        looked.append(within.last - within.first + 1)
        return begun(ledger, within, wanted)

    monkeypatch.setattr(SqliteLedger, "sales_begun", counted)
    monkeypatch.setattr(earlier_sales, "STEP_ENTRIES", 1)
    monkeypatch.setattr(earlier_sales, "LOOKED_AT_MAX", 4)
    assert find(shop, amount_minor=200) == Found((), True)
    assert sum(looked) == 4
    assert find(shop, TODAY, amount_minor=200) == Found(("sale-0001",), False)


def test_the_newest_are_read_from_the_journals_end_and_not_counted_through(shop: Till) -> None:
    from agent.store import earlier_sales as stored

    shop.clock.pass_time(DAY_S)
    plan = " ".join(row[3] for row in shop.ledger._read(f"EXPLAIN QUERY PLAN {stored._NEWEST}", (1,)).fetchall())
    assert "TEMP B-TREE" not in plan
