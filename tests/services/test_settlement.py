"""The end of the day: totals that nobody can lose, matched now or later, and never closed in silence."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent.core.journal import Kind, Position
from agent.core.settlement import NAMES, Total
from agent.errors import UplinkRefused
from agent.ports import QueueException
from agent.uplink.remote import BackendRefused
from tests.services.lanes import HOUR_S, LENDER, Till, order
from tests.uplink.world import run


def sell(till: Till, minor: int, sale_id: str, **fields: Any) -> None:
    run(till.checkout.sell(order(sale_id, minor, **fields), till.phone().code()))


def acknowledge(till: Till) -> None:
    till.lane.forwarding.next_upload(10_000, 10**7)
    till.lane.forwarding.acknowledged(1, till.ledger.head.number, [])


def close(till: Till) -> Any:
    return run(till.lane.settlement.close_day(LENDER))


def test_a_batch_counts_every_sale_of_the_day_offline_ones_included(till: Till) -> None:
    sell(till, 3_000, "sale-0001")
    sell(till, 2_000, "sale-0002", capture="later")
    sell(till, 20_000, "sale-0003")
    run(till.lane.holds.reverse("sale-0002", "x"))
    report = close(till)
    assert report.totals == {
        "approved": {"count": 2, "minor": 5_000},
        "declined": {"count": 1, "minor": 20_000},
        "captured": {"count": 1, "minor": 3_000},
        "reversed": {"count": 1, "minor": 2_000},
        "expired": {"count": 0, "minor": 0},
        "voided": {"count": 0, "minor": 0},
        "refunded": {"count": 0, "minor": 0},
        "stand_in": {"count": 2, "minor": 5_000},
    }
    assert (report.batch, report.first_number, report.state) == (1, 1, "pending")


def test_batches_follow_each_other_without_a_gap_and_start_from_zero(till: Till) -> None:
    sell(till, 3_000, "sale-0001")
    first = close(till)
    sell(till, 1_000, "sale-0002")
    second = close(till)
    assert (second.batch, second.first_number) == (2, first.last_number + 1)
    assert second.totals["approved"] == {"count": 1, "minor": 1_000}
    assert [sealed.entry.body["batch"] for sealed in till.entries(Kind.SETTLEMENT)] == [1, 2]


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "UTC"])
def test_a_business_day_ends_when_it_is_closed_and_not_at_anybodys_midnight(
    opened: Callable[..., Till], zone: str
) -> None:
    """A shop that is open till two has one batch for its evening, wherever it is and whatever its clocks do."""
    till = opened(settings={"timezone": zone})
    sell(till, 1_111, "sale-0001")
    till.clock.pass_time(17 * HOUR_S)  # past midnight in each of these zones
    sell(till, 1_234, "sale-0002")
    assert close(till).totals["approved"] == {"count": 2, "minor": 2_345}


def test_with_the_line_up_the_close_waits_for_its_own_entries_and_matches(till: Till) -> None:
    sell(till, 3_000, "sale-0001")
    till.backend.available = True

    async def story() -> Any:
        closing = asyncio.create_task(till.lane.settlement.close_day(LENDER))
        await asyncio.sleep(3)
        assert till.backend.settled == [], "the backend has not got the entries yet"
        acknowledge(till)
        return await closing

    assert run(story()).state == "matched"
    assert till.ledger.unmatched_batches() == ()


def test_a_batch_that_could_not_be_matched_is_asked_about_again_even_after_a_restart(till: Till) -> None:
    sell(till, 3_000, "sale-0001")
    report = close(till)
    assert report.state == "pending"
    assert "batch_pending" in {condition.code for condition in till.lane.conditions()}
    till.restart()
    till.backend.available = True
    acknowledge(till)
    run(till.lane.maintain())
    assert till.backend.settled[-1]["chain_head"] == report.chain_head
    assert till.backend.settled[-1]["totals"] == report.totals
    assert "batch_pending" not in {condition.code for condition in till.lane.conditions()}
    run(till.lane.maintain())
    assert len(till.backend.settled) == 2, "a batch that is matched is not asked about again"


DIFFERENCES = {
    "it counted another amount": {"totals": {"approved": {"count": 1, "minor": 1}}},
    "its chain ends elsewhere": {"chain_head": "AAAA"},
    "it says so itself": {"matched": False},
}


NAMED = {
    "it counted another amount": ["total"] * len(NAMES),
    "its chain ends elsewhere": ["chain_head"],
    "it says so itself": ["unnamed"],
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_is_named_and_stays_an_error(till: Till, name: str) -> None:
    sell(till, 3_000, "sale-0001")
    till.backend.available = True
    backend: Any = till.backend

    async def differs(body: Any) -> Any:
        same = {"matched": True, "totals": body["totals"], "chain_head": body["chain_head"], "differences": []}
        return same | DIFFERENCES[name]

    backend.settle = differs
    acknowledge(till)
    report = close(till)
    assert report.state == "different"
    assert [found.what for found in report.differences] == NAMED[name]
    till.restart()
    assert {c.severity for c in till.lane.conditions() if c.code == "batch_different"} == {"error"}


def test_a_backend_that_is_behind_leaves_the_batch_pending(till: Till) -> None:
    backend: Any = till.backend

    async def behind(_: Any) -> Any:
        raise UplinkRefused("journal_behind")

    till.backend.available, backend.settle = True, behind
    assert close(till).state == "pending"
    assert len(till.ledger.unmatched_batches()) == 1


def test_a_batch_that_was_settled_with_other_figures_differs_for_good(till: Till) -> None:
    """A ledger that was put back closes a batch again; its answer will never be another one."""
    backend: Any = till.backend

    async def settled_before(_: Any) -> Any:
        raise BackendRefused("settlement_conflict", "batch 1", {})

    till.backend.available, backend.settle = True, settled_before
    report = close(till)
    assert (report.state, len(report.differences)) == ("different", 1)
    assert till.ledger.unmatched_batches() == ()


def test_a_close_that_is_asked_for_again_is_the_same_batch(till: Till) -> None:
    sell(till, 3_000, "sale-0001")
    first = close(till)
    repeated = replace(first, was_closed=True)
    assert close(till) == repeated, "nothing has happened since"
    sell(till, 1_000, "sale-0002")
    again = run(till.lane.settlement.close_day(LENDER, first.batch))
    assert replace(again, open=first.open) == repeated, "whatever was sold meanwhile"
    assert len(till.entries(Kind.SETTLEMENT)) == 1
    second = run(till.lane.settlement.close_day(LENDER, 2))
    assert (second.batch, second.totals["approved"]) == (2, {"count": 1, "minor": 1_000})
    assert run(till.lane.settlement.close_day(LENDER, 4)) is None
    assert run(till.lane.settlement.close_day(LENDER, 3)).totals["approved"]["count"] == 0
    assert len(till.entries(Kind.SETTLEMENT)) == 3


def test_two_closes_at_once_are_one_batch(till: Till) -> None:
    sell(till, 3_000, "sale-0001")

    async def both() -> Any:
        return await asyncio.gather(*(till.lane.settlement.close_day(LENDER) for _ in range(2)))

    assert [report.batch for report in run(both())] == [1, 1]
    assert len(till.entries(Kind.SETTLEMENT)) == 1


def test_a_batch_that_is_matched_stays_so_when_it_is_asked_for_without_a_line(till: Till) -> None:
    sell(till, 3_000, "sale-0001")
    till.backend.available = True

    async def story() -> Any:
        closing = asyncio.create_task(till.lane.settlement.close_day(LENDER))
        await asyncio.sleep(1)
        acknowledge(till)
        return await closing

    assert run(story()).state == "matched"
    till.restart()
    till.backend.available = False
    assert close(till).state == "matched"


def disputed(till: Till, reason: str, number: int) -> None:
    found = QueueException(Position(1, number), "disputed", reason, "merchant")
    till.ledger.move_cursor(1, till.ledger.cursor(1), [found])


def test_what_is_not_settled_with_the_day_is_named_one_by_one(till: Till) -> None:
    sell(till, 3_000, "sale-0001")
    sell(till, 2_000, "sale-0002", capture="later")
    (first, _) = till.entries(Kind.AUTHORIZATION)
    acknowledge(till)
    disputed(till, "lease_excess", first.entry.number)
    found = close(till).open
    assert (found.unsent, found.held) == (0, Total(1, 2_000)), "the entry of the close itself is the next day's"
    (item,) = found.items
    assert (item.state, item.reason, item.bearer) == ("disputed", "lease_excess", "merchant")
    assert (item.kind, item.sale_id, item.minor) == ("authorization", "sale-0001", 3_000)


def test_what_was_carried_over_stays_on_the_next_days_report(till: Till) -> None:
    sell(till, 3_000, "sale-0001")
    disputed(till, "lease_excess", till.entries(Kind.AUTHORIZATION)[0].entry.number)
    close(till)
    sell(till, 1_000, "sale-0002")
    assert [item.reason for item in close(till).open.items] == ["lease_excess"]


def test_what_is_still_to_be_sent_of_a_day_is_counted_up_to_its_end(till: Till) -> None:
    sell(till, 3_000, "sale-0001")
    acknowledge(till)
    sell(till, 1_000, "sale-0002")
    sent = till.ledger.cursor(1).acknowledged_through
    report = close(till)
    assert report.open.unsent == report.last_number - sent > 0


def test_an_exception_without_an_entry_is_shown_all_the_same(till: Till) -> None:
    disputed(till, "a word of a later version", 999)
    (item,) = close(till).open.items
    assert (item.number, item.kind, item.minor) == (999, "", 0)
