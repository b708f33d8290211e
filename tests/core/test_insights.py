"""Insights: every figure is an entry of the journal, counted once in each breakdown; the table is safe to open."""

import csv
import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.core.insights import CSV_HEAD, OUTCOMES, DayInsights, to_csv
from agent.core.journal import GENESIS_HASH, Entry, Kind

PLAN = {"id": "M3", "statement": bytes(32), "coupon": b"c", "fee_minor": 0, "merchant_fee_minor": 0}


def entry(kind: str, minor: int = 100, *, at_s: int = 0, lender: str = "a", **body: Any) -> Entry:
    said = {"amount_minor": minor, "plan": None, "response_code": "00", "reason": "approved"} | body
    return Entry(1, "lane-01", 1, 1, GENESIS_HASH, at_s, (True, 0), 0, kind, lender, "sale-0001", 1, said)


def figures(*entries: Entry) -> dict[str, Any]:
    found = DayInsights(lambda at_s: at_s // 3600 % 24)
    for each in entries:
        found.add(each)
    return found.to_wire()


DECISIONS = st.builds(
    lambda kind, minor, at_s, approved, plan, reason, lender: entry(
        kind, minor, at_s=at_s, approved=approved, plan=plan, reason=reason, lender=lender
    ),
    st.sampled_from([Kind.AUTHORIZATION, Kind.DECLINE, Kind.ONLINE_OUTCOME]),
    st.integers(1, 2**40),
    st.integers(0, 86_399),
    st.booleans(),
    st.sampled_from([None, PLAN]),
    st.sampled_from(["approved", "lease_exceeded", "=1+1"]),
    st.sampled_from(["a", "b"]),
)


@given(st.lists(DECISIONS))
def test_each_breakdown_adds_up_to_the_day(entries: list[Entry]) -> None:
    day = figures(*entries)
    for outcome in OUTCOMES:
        for breakdown in ("hours", "plans", "lenders"):
            for unit in ("count", "minor"):
                assert sum(row[outcome][unit] for row in day[breakdown]) == day[outcome][unit]
        assert sum(row["count"] for row in day["reasons"] if row["outcome"] == outcome) == day[outcome]["count"]


def test_what_the_lane_decided_alone_and_what_a_coupon_paid_are_parts_of_the_approved() -> None:
    day = figures(
        entry(Kind.AUTHORIZATION, 300, plan=PLAN),
        entry(Kind.ONLINE_OUTCOME, 500, approved=True),
        entry(Kind.ONLINE_OUTCOME, 900, approved=False),
        entry(Kind.DECLINE, 700),
    )
    assert (day["approved"], day["declined"]) == ({"count": 2, "minor": 800}, {"count": 2, "minor": 1_600})
    assert day["offline"] == day["with_coupon"] == {"count": 1, "minor": 300}
    assert day["basket"]["credit"] == {"count": 2, "minor": 800, "average_minor": 400}


def test_what_is_taken_back_is_no_approval_and_a_refused_refund_is_nothing() -> None:
    day = figures(
        *(entry(kind, 10) for kind in (Kind.REVERSAL, Kind.VOID, Kind.EXPIRY, Kind.REFUND)),
        entry(Kind.REFUND_OUTCOME, 20, approved=True),
        entry(Kind.REFUND_OUTCOME, 40, approved=False),
        *(entry(kind, 10) for kind in (Kind.ONLINE_INTENT, Kind.CAPTURE)),
    )
    assert (day["undone"], day["refunded"]) == ({"count": 3, "minor": 30}, {"count": 2, "minor": 30})
    assert day["approved"]["count"] == day["declined"]["count"] == 0
    assert day["basket"]["credit"]["average_minor"] is None


def dressed(day: dict[str, Any]) -> dict[str, Any]:
    """The figures as the service tells them: with offsets, texts, and what the till said."""
    for row in day["hours"]:
        row["utc_offset"] = "+08:00"
    for row in day["reasons"]:
        row["text"] = "=余额不足"
    return day | {"utc_offset": "+08:00", "basket": day["basket"] | {"other": None}}


def read(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.removeprefix("\ufeff"))))


def test_the_table_has_every_figure_and_no_cell_that_a_spreadsheet_would_run() -> None:
    hostile = [entry(Kind.DECLINE, reason=f"{sign}cmd()") for sign in "=+-@"]
    day = figures(*hostile, entry(Kind.AUTHORIZATION)) | {"day": "2026-11-22", "currency": "CNY"}
    table = to_csv(dressed(day))
    assert table.startswith("\ufeff"), "a spreadsheet reads it as UTF-8"
    rows = read(table)
    assert tuple(rows[0]) == CSV_HEAD
    (approved,) = [row for row in rows if (row["of"], row["name"]) == ("day", "approved")]
    assert list(approved.values()) == ["2026-11-22", "UTC+08:00", "day", "approved", "", "1", "1.00", "100", "CNY", ""]
    assert sum(int(row["count"]) for row in rows if row["of"] == "hour") == 5
    assert not any(cell.startswith(tuple("=+-@＝＋－＠")) for row in rows for cell in row.values())
