"""A day for the owner: the store's own day, whatever is in the journal, and never a figure that nobody told."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from agent.services import journal_walk
from tests.services.lanes import HOUR_S, Till, order
from tests.uplink.world import run

TODAY = date(2027, 1, 15)  # NOW_S is 16:00 in Shanghai


def sell(till: Till, minor: int, sale_id: str) -> None:
    run(till.checkout.sell(order(sale_id, minor), till.phone().code()))


def day(till: Till, which: date | None = None) -> dict[str, Any]:
    return dict(run(till.lane.insights.day(which)))


def test_a_days_sales_stand_at_the_stores_hour_with_their_reasons(till: Till) -> None:
    sell(till, 3_000, "sale-0001")
    till.clock.pass_time(HOUR_S)
    sell(till, 20_000, "sale-0002")
    found = day(till)
    assert (found["day"], found["currency"], found["is_over"]) == ("2027-01-15", "CNY", False)
    assert {row["hour"]: row for row in found["hours"]}[16]["approved"] == {"count": 1, "minor": 3_000}
    assert {row["hour"]: row for row in found["hours"]}[17]["declined"] == {"count": 1, "minor": 20_000}
    assert [(row["outcome"], row["reason"]) for row in found["reasons"]] == [
        ("approved", "approved_offline"),
        ("declined", "lease_exceeded"),
    ]
    assert all(row["text"] for row in found["reasons"])


def test_a_sale_after_the_stores_midnight_is_the_next_days(opened: Callable[..., Till]) -> None:
    till = opened(settings={"timezone": "Asia/Shanghai"})
    till.clock.pass_time(8 * HOUR_S - 1)
    sell(till, 1_000, "sale-0001")
    till.clock.pass_time(1)
    sell(till, 2_000, "sale-0002")
    assert day(till, TODAY)["approved"] == {"count": 1, "minor": 1_000}
    assert day(till)["approved"] == {"count": 1, "minor": 2_000}
    assert day(till, TODAY)["is_over"]


def test_every_sale_of_a_day_is_found_however_long_the_journal_is(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_walk, "STEP_ENTRIES", 3)
    for number in range(9):
        sell(till, 100, f"sale-000{number}")
        till.clock.pass_time(5 * HOUR_S)
    days = [day(till, date.fromordinal(TODAY.toordinal() + more)) for more in range(-1, 4)]
    assert [found["approved"]["count"] for found in days] == [0, 2, 5, 2, 0]


def test_the_basket_without_credit_is_what_the_pos_told_last_and_survives_a_restart(till: Till) -> None:
    assert day(till)["basket"]["other"] is None
    till.lane.insights.tell_other_tenders(None, 3, 6_000)
    till.lane.insights.tell_other_tenders(None, 4, 9_000)
    till.restart()
    assert day(till)["basket"]["other"] == {"count": 4, "minor": 9_000, "average_minor": 2_250}
    assert day(till, date(2027, 1, 14))["basket"]["other"] is None


def test_what_the_pos_tells_is_kept_for_some_days_and_not_for_ever(till: Till) -> None:
    for ordinal in range(TODAY.toordinal() - 60, TODAY.toordinal() + 1):
        till.lane.insights.tell_other_tenders(date.fromordinal(ordinal), 1, 1)
    assert day(till, date(2026, 12, 20))["basket"]["other"] is not None
    assert day(till, date(2026, 11, 20))["basket"]["other"] is None
