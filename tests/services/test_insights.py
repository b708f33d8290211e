"""A day for the owner: the store's own day, whatever is in the journal, and never a figure that nobody told."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.journal import Draft, Kind
from agent.services import journal_walk
from agent.services.insights import Insights
from agent.store.ledger import SqliteLedger
from tests.services.lanes import CUSTOMER, DAY_S, HOUR_S, LENDER, NOW_S, Till, order
from tests.uplink.world import run

BUSY_DAY = 30
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
    monkeypatch.setattr(journal_walk, "BLOCK_ENTRIES", 7)
    for number in range(9):
        sell(till, 100, f"sale-000{number}")
        till.clock.pass_time(5 * HOUR_S)
    days = [day(till, date.fromordinal(TODAY.toordinal() + more)) for more in range(-1, 4)]
    assert [found["approved"]["count"] for found in days] == [0, 2, 5, 2, 0]


def counted(till: Till, which: date) -> dict[str, Any]:
    """The same figures by another way: every entry that the ledger holds, looked at by the store's wall clock."""
    zone, of_day = ZoneInfo("Asia/Shanghai"), []
    for end in till.ledger.ends():
        for sealed in till.ledger.entries_after(end.epoch, 0, end.number):
            if datetime.fromtimestamp(sealed.entry.recorded_at, zone).date() == which:
                of_day.append(sealed.entry)

    def came_to(*kinds: Kind) -> dict[str, int]:
        amounts = [entry.body["amount_minor"] for entry in of_day if entry.kind in kinds]
        return {"count": len(amounts), "minor": sum(amounts)}

    hours = Counter(datetime.fromtimestamp(e.recorded_at, zone).hour for e in of_day if e.kind == Kind.AUTHORIZATION)
    return {
        "approved": came_to(Kind.AUTHORIZATION),
        "offline": came_to(Kind.AUTHORIZATION),
        "declined": came_to(Kind.DECLINE),
        "undone": came_to(Kind.REVERSAL, Kind.VOID, Kind.EXPIRY),
        "refunded": came_to(Kind.REFUND),
        "hours": [hours[hour] for hour in range(24)],
    }


WORDS = st.one_of(
    st.tuples(st.just("sell"), st.integers(1, 20_000)),
    st.tuples(st.just("hold"), st.integers(1, 5_000)),
    st.tuples(st.sampled_from(["void", "refund"]), st.integers(0, 20)),
    st.tuples(st.just("pass"), st.integers(0, 9 * HOUR_S)),
    st.tuples(st.just("correct"), st.integers(-30 * HOUR_S, 30 * HOUR_S)),
)


@given(st.lists(WORDS, min_size=1, max_size=14))
@settings(max_examples=12, deadline=None)
def test_every_figure_is_an_independent_count_of_the_journal_whatever_the_clock_did(words: list[Any]) -> None:
    """Days across midnight, hours in which nothing was sold, and a clock that signed time corrects by more than a day
    in either direction: no entry is lost, and none counts twice."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_walk, "BLOCK_ENTRIES", 4)
        with closing(Till(Path(folder), grants={CUSTOMER: 150_000}, valid_s=10 * DAY_S)) as till:
            for number, (word, value) in enumerate(words):
                play(till, word, value, number)
            for more in range(-4, 9):
                which = date.fromordinal(TODAY.toordinal() + more)
                found, expected = day(till, which), counted(till, which)
                found["hours"] = [row["approved"]["count"] for row in found["hours"]]
                assert {name: found[name] for name in expected} == expected


def play(till: Till, word: str, value: int, number: int) -> None:
    match word:
        case "sell":
            sell(till, value, f"sale-{number:04}")
        case "hold":
            run(till.checkout.sell(order(f"sale-{number:04}", value, capture="later"), till.phone().code()))
        case "pass":
            till.clock.pass_time(value)
        case "correct":
            till.tell_time(till.clock.wall + value)
        case _:
            sold = [hold for hold in till.ledger.recent_sales(20) if hold.authorization_code]
            if sold:
                undo(till, word, sold[value % len(sold)].sale_id, number)


def undo(till: Till, word: str, sale_id: str, number: int) -> None:
    if word == "void":
        run(till.lane.holds.void(sale_id, "x"))
    else:
        run(till.lane.holds.refund(sale_id, None, request=f"r{number}", reason="x"))


@pytest.mark.proof
def test_a_day_of_a_lane_with_200_000_entries_is_counted_without_a_stall(till: Till, tmp_path: Path) -> None:
    """Printed: the first look after a start, one after it, and the longest that anything else had to wait."""
    sell(till, 20_000, "sale-0001")
    (declined,) = till.entries(Kind.DECLINE)
    ledger = SqliteLedger.open(str(tmp_path / "ledger.db"))
    begin = till.entries(Kind.EPOCH_START)[0].entry
    reading = till.lane.clock.read(LENDER)
    ledger.start_epoch("lane-01", 1, Draft(begin.kind, begin.body), reading)
    cheap = Draft(Kind.OPERATOR, {"operator": "7", "role": "cashier", "action": "void", "subject": "x" * 300})
    for block in range(200):
        is_busy = block // 4 == BUSY_DAY
        sales = [Draft(Kind.DECLINE, declined.entry.body, LENDER, f"s{block}-{n}", 1) for n in range(500)]
        ledger.record(
            sales * is_busy + [cheap] * (1_000 - 500 * is_busy), replace(reading, now_s=NOW_S + block * 21_600)
        )
    insights = Insights(ledger, lambda: NOW_S, "Asia/Shanghai", "en", lambda: "CNY")
    for which in (BUSY_DAY, BUSY_DAY):
        found, took_s, waited_s = run(timed(insights, date.fromordinal(TODAY.toordinal() + which)))
        print(f"200,000 entries: {took_s * 1000:.0f} ms, nobody else waited longer than {waited_s * 1000:.0f} ms")
        assert found["declined"]["count"] == 1_000
    ledger.close()


async def timed(insights: Insights, which: date) -> tuple[dict[str, Any], float, float]:
    """How long a day's figures took, and the longest wait of whatever else there was to do."""
    waits_s = [0.0]

    async def others() -> None:
        while True:
            begin_s = time.perf_counter()
            await asyncio.sleep(0)
            waits_s.append(time.perf_counter() - begin_s)

    doing = asyncio.create_task(others())
    begin_s = time.perf_counter()
    found = await insights.day(which)
    took_s = time.perf_counter() - begin_s
    doing.cancel()
    return found, took_s, max(waits_s)


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
