"""What becomes of an approved sale at the lane that made it: each amount once, within what is there, or a refusal."""

from typing import Any

import pytest

from agent.core.authorization import Hold, HoldState
from agent.core.journal import Kind
from agent.errors import IdempotencyConflict
from agent.services.hold_desk import Refused
from drivers.document import to_text
from tests.services.lanes import LENDER, Till, order
from tests.services.test_printing import print_for
from tests.uplink.world import run

SALE = "sale-0001"
S = HoldState


def later(till: Till, minor: int = 3_000, sale_id: str = SALE) -> Hold:
    return run(till.checkout.sell(order(sale_id, minor, capture="later"), till.phone().code()))


def sold(till: Till, minor: int = 3_000, sale_id: str = SALE) -> Hold:
    return run(till.checkout.sell(order(sale_id, minor), till.phone().code()))


def in_parts(till: Till, captures_max: int) -> None:
    till.lane.lenders.install_policy(LENDER, till.lender.policy(2, captures_max=captures_max))


def amounts(till: Till, kind: Kind) -> list[int]:
    return [sealed.entry.body["amount_minor"] for sealed in till.entries(kind)]


# -- capture -----------------------------------------------------------------------------------------------------


def test_a_capture_in_less_restores_the_lease_by_what_was_not_captured(till: Till) -> None:
    later(till)
    assert till.left() == 7_000
    hold = run(till.lane.holds.capture(SALE, 2_000))
    assert (hold.state, hold.captured_minor, hold.held_minor, till.left()) == (S.CAPTURED, 2_000, 0, 8_000)


def test_a_capture_in_less_under_a_lease_that_is_over_restores_nothing(till: Till) -> None:
    later(till)
    till.install({}, lease_epoch=2)
    run(till.lane.holds.capture(SALE, 2_000))
    assert "lease" not in till.entries(Kind.CAPTURE)[0].entry.body


def test_captures_in_parts_hold_the_rest_until_the_final_one(till: Till) -> None:
    in_parts(till, 3)
    later(till)
    first = run(till.lane.holds.capture(SALE, 1_000, final=False, request="a"))
    assert (first.state, first.held_minor, till.left()) == (S.PARTLY_CAPTURED, 2_000, 7_000)
    again = run(till.lane.holds.capture(SALE, 1_000, final=False, request="a"))
    assert again == first, "a repeated call is one capture"
    run(till.lane.holds.capture(SALE, 1_000, final=False, request="b"))
    assert run(till.lane.holds.capture(SALE, 100, final=False, request="c")) == Refused("captures_max")
    last = run(till.lane.holds.capture(SALE, 100))
    assert (last.state, last.captured_minor, till.left()) == (S.CAPTURED, 2_100, 7_900)
    assert amounts(till, Kind.CAPTURE) == [1_000, 1_000, 100]


def test_the_rest_of_captures_in_parts_may_be_released_without_another_capture(till: Till) -> None:
    in_parts(till, 3)
    later(till)
    run(till.lane.holds.capture(SALE, 1_000, final=False, request="a"))
    hold = run(till.lane.holds.reverse(SALE, "no_more"))
    assert (hold.state, hold.captured_minor, till.left()) == (S.CAPTURED, 1_000, 9_000)
    assert amounts(till, Kind.REVERSAL) == [2_000]


def test_a_policy_that_knows_no_parts_takes_final_captures_only(till: Till) -> None:
    later(till)
    assert run(till.lane.holds.capture(SALE, 1_000, final=False, request="a")) == Refused("captures_max")
    assert run(till.lane.holds.capture(SALE, 3_001)) == Refused("capture_above_hold")
    assert run(till.lane.holds.capture(SALE)).captured_minor == 3_000
    assert run(till.lane.holds.capture(SALE)).captured_minor == 3_000
    assert len(amounts(till, Kind.CAPTURE)) == 1


# -- expiry ------------------------------------------------------------------------------------------------------


def waited(till: Till, more_s: int = 0) -> None:
    till.clock.pass_time(till.lane.lenders.first.policy.limits.hold_valid_s + more_s)
    till.tell_time()


def test_a_hold_that_nobody_captures_ends_by_itself_and_restores_nothing(till: Till) -> None:
    later(till)
    waited(till, -1)
    assert run(till.lane.holds.expire_due()) == 0
    waited(till, -till.lane.lenders.first.policy.limits.hold_valid_s + 1)
    assert run(till.lane.holds.expire_due()) == 1
    assert run(till.lane.holds.expire_due()) == 0
    assert (till.ledger.attempts(SALE)[0].state, till.left()) == (S.EXPIRED, 7_000)


def test_a_capture_that_comes_too_late_ends_the_hold_and_is_refused(till: Till) -> None:
    later(till)
    waited(till)
    assert run(till.lane.holds.capture(SALE)) == Refused("sale_expired")
    assert till.kinds(SALE)[-1] == Kind.EXPIRY
    assert run(till.lane.holds.capture(SALE)) == Refused("sale_expired")


def test_what_the_journal_has_told_ends_a_hold_whatever_the_clock_says_now(till: Till) -> None:
    """The backend relies on the horizon; a clock that is set back must not bring the hold to life again."""
    later(till)
    waited(till)
    sold(till, sale_id="sale-0002")
    till.restart(wall_s=till.clock.wall - 30 * 86_400)
    assert run(till.lane.holds.capture(SALE)) == Refused("sale_expired")


def test_an_untrusted_clock_ends_no_hold(till: Till) -> None:
    later(till)
    till.restart(wall_s=till.clock.wall + 400 * 86_400)
    assert run(till.lane.holds.expire_due()) == 0
    assert run(till.lane.holds.capture(SALE)).state is S.CAPTURED


# -- void and refund ---------------------------------------------------------------------------------------------


def test_a_void_undoes_a_sale_of_today_and_a_hold_alike(till: Till) -> None:
    sold(till)
    later(till, sale_id="sale-0002")
    for _ in range(2):
        assert run(till.lane.holds.void(SALE, "wrong_item")).state is S.VOIDED
        assert run(till.lane.holds.void("sale-0002", "wrong_item")).state is S.REVERSED
    assert (amounts(till, Kind.VOID), amounts(till, Kind.REVERSAL), till.left()) == ([3_000], [3_000], 7_000)


def test_a_sale_of_a_closed_day_is_refunded_and_not_voided(till: Till) -> None:
    sold(till)
    run(till.lane.settlement.close_day(LENDER))
    assert run(till.lane.holds.void(SALE, "x")) == Refused("void_day_closed")
    assert run(till.lane.holds.refund(SALE, None, request="a", reason="x")).state is S.REFUNDED


def test_two_refunds_of_one_amount_are_two_and_a_repeated_one_is_one(till: Till) -> None:
    sold(till)
    for request in ("a", "a", "b", "b"):
        hold = run(till.lane.holds.refund(SALE, 1_000, request=request, reason="returned"))
    assert (hold.state, hold.refunded_minor) == (S.PARTLY_REFUNDED, 2_000)
    assert run(till.lane.holds.refund(SALE, 1_001, request="c", reason="x")) == Refused("refund_above_captured")
    assert run(till.lane.holds.void(SALE, "x")) == Refused("sale_partly_refunded")
    with pytest.raises(IdempotencyConflict):
        run(till.lane.holds.refund(SALE, 999, request="a", reason="x"))
    assert run(till.lane.holds.refund(SALE, None, request="d", reason="x")).state is S.REFUNDED
    assert (amounts(till, Kind.REFUND), till.left()) == ([1_000, 1_000, 1_000], 7_000)


def test_a_refund_survives_a_kill_between_its_record_and_its_answer(till: Till) -> None:
    sold(till)
    run(till.lane.holds.refund(SALE, 1_000, request="a", reason="x"))
    till.restart()
    assert run(till.lane.holds.refund(SALE, 1_000, request="a", reason="x")).refunded_minor == 1_000


NOTHING_TO_DO: list[tuple[str, Any, str]] = [
    ("capture", lambda desk: desk.capture(SALE), "sale_declined"),
    ("reverse", lambda desk: desk.reverse(SALE, "x"), "sale_declined"),
    ("void", lambda desk: desk.void(SALE, "x"), "sale_declined"),
    ("refund", lambda desk: desk.refund(SALE, None, request="a", reason="x"), "sale_declined"),
    ("unknown", lambda desk: desk.refund("sale-0009", None, request="a", reason="x"), "sale_unknown"),
]


@pytest.mark.parametrize(("call", "reason"), [row[1:] for row in NOTHING_TO_DO], ids=[row[0] for row in NOTHING_TO_DO])
def test_of_what_was_never_approved_nothing_becomes(till: Till, call: Any, reason: str) -> None:
    sold(till, 90_000)
    before = till.ledger.head
    assert run(call(till.lane.holds)) == Refused(reason)
    assert till.ledger.head == before


# -- what is shown and printed -----------------------------------------------------------------------------------


def test_void_and_refund_have_a_slip_with_both_amounts_and_no_claim_of_a_sale(till: Till) -> None:
    sold(till, 5_000)
    run(till.lane.holds.refund(SALE, 1_200, request="a", reason="x"))
    print_for(till, 5)
    paper = to_text(till.printer.documents[-1], 32)
    assert "已退款" in paper and "12.00" in paper and "50.00" in paper
    assert "CFS1:" in repr(till.printer.documents[-1]), "the claim of a sale is for the slip of its approval alone"


def test_the_slip_of_a_refund_names_what_was_charged_and_not_what_was_held(till: Till) -> None:
    later(till)
    run(till.lane.holds.capture(SALE, 2_000))
    run(till.lane.holds.refund(SALE, 700, request="a", reason="x"))
    print_for(till, 5)
    paper = to_text(till.printer.documents[-1], 32)
    assert "7.00" in paper and "20.00" in paper and "30.00" not in paper


def test_the_page_says_what_became_of_the_sale_and_not_how_it_was_decided(till: Till) -> None:
    sold(till)
    run(till.lane.holds.refund(SALE, 1_000, request="a", reason="x"))
    view = till.counter.view(SALE)
    assert (view["state"], view["refunded"]["minor"], view["texts"]["cashier"]) == (
        "refunded_in_part",
        1_000,
        "已部分退款",
    )
