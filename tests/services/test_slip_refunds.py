"""A slip of another lane: asked for online, one request one refund, and what nobody confirms is declined."""

from collections.abc import Mapping
from typing import Any

import pytest

from agent.core.journal import Kind
from agent.core.money import Money
from agent.core.slip_refund import RefundState, SlipRefund
from agent.errors import IdempotencyConflict, UplinkRefused
from drivers.document import to_text
from tests.services.lanes import LENDER, Till
from tests.services.test_printing import print_for
from tests.uplink.world import run


def yes(minor: int = 500) -> Mapping[str, Any]:
    amount = {"minor": minor, "currency": "CNY"}
    return {"approved": True, "response_code": "00", "reason": "refunded", "attempt": 2, "amount": amount}


NO = yes() | {"approved": False, "response_code": "61", "reason": "refund_above_captured"}


def refund(till: Till, minor: int = 500, request: str = "r-1") -> SlipRefund:
    return run(till.lane.slip_refunds.refund(LENDER, "lane-02", "sale-0001", Money(minor, "CNY"), request))


ANSWERS: list[tuple[str, bool, Any, tuple[str, str | None]]] = [
    ("approved", True, yes(), ("approved", "refunded")),
    ("declined", True, NO, ("declined", "refund_above_captured")),
    ("no answer", True, None, ("declined", "refund_unanswered")),
    ("an answer to something else", True, yes(499), ("declined", "refund_unanswered")),
    ("refused", True, UplinkRefused("no"), ("declined", "refund_unanswered")),
    ("offline", False, yes(), ("declined", "refund_online_only")),
]


@pytest.mark.parametrize(
    ("available", "answer", "expected"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
def test_every_answer_is_journaled_as_the_outcome_that_it_is(
    till: Till, available: bool, answer: Any, expected: tuple[str, str]
) -> None:
    till.backend.available, till.backend.refund_answer = available, answer
    done = refund(till)
    assert (done.state, done.reason) == expected
    kinds = [sealed.entry.kind for sealed in till.entries(Kind.REFUND_INTENT, Kind.REFUND_OUTCOME)]
    assert kinds == [Kind.REFUND_INTENT, Kind.REFUND_OUTCOME]
    till.backend.refund_answer = yes()
    assert refund(till) == done, "the same request gets the same answer, also after a restart"
    till.restart()
    assert refund(till) == done


def test_the_intent_is_on_the_disk_before_the_question_leaves(till: Till) -> None:
    async def look(_request: Mapping[str, Any]) -> Mapping[str, Any]:
        assert till.entries(Kind.REFUND_INTENT)
        return yes()

    till.backend.available, till.backend.refund_answer = True, look
    assert refund(till).state is RefundState.APPROVED


def test_a_refund_that_a_kill_interrupted_is_asked_about_and_closed(till: Till) -> None:
    async def die(_request: Mapping[str, Any]) -> None:
        till.kill()
        raise KeyboardInterrupt

    till.backend.available, till.backend.refund_answer = True, die
    with pytest.raises(KeyboardInterrupt):
        refund(till)
    till.start()
    till.backend.refund_answer = yes()
    run(till.lane.slip_refunds.resolve_interrupted())
    assert till.ledger.open_slip_refunds() == ()
    assert refund(till).state is RefundState.APPROVED


def test_one_request_is_one_refund_and_another_amount_or_currency_under_it_is_refused(till: Till) -> None:
    till.backend.available, till.backend.refund_answer = True, yes()
    refund(till)
    with pytest.raises(IdempotencyConflict):
        refund(till, 501)
    with pytest.raises(IdempotencyConflict):
        run(till.lane.slip_refunds.refund(LENDER, "lane-02", "sale-0001", Money(500, "EUR"), "r-1"))
    assert len(till.backend.refunds) == 1


def test_the_slip_names_the_lane_that_sold_and_the_day_counts_it(till: Till) -> None:
    till.backend.available, till.backend.refund_answer = True, yes()
    refund(till)
    print_for(till, 5)
    paper = to_text(till.printer.documents[-1], 32)
    assert "已退款" in paper and "lane-02" in paper and "5.00" in paper
    assert not any(row in paper for row in ("账户", "授权码", "联机批准")), "nothing is said of what is not known here"
    till.backend.available = False
    report = run(till.lane.settlement.close_day(LENDER))
    assert report.totals["refunded"] == {"count": 1, "minor": 500}
