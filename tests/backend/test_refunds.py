"""What becomes of a hold in the books: captured in parts, expired, voided, refunded at its own lane and at others."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.authorization import HoldState
from backend import holds, refunds
from backend.admin import lanes as operators
from backend.database import transact
from backend.holds import Attempt
from backend.problems import Problem
from backend.schema import Dispute, Hold
from backend.wire import RefundRequest, read
from tests.backend.books import postgres
from tests.backend.lanes import LENDER, PaperLane, Shop


@pytest.fixture
def shop(books: str) -> Iterator[Shop]:
    shop = Shop.open(books, 1_000)
    for name in "AB":
        shop.cut(name, allowance_minor=300)
        shop.lanes[name].install()
        shop.lanes[name].upload()
    yield shop
    assert shop.findings() == []
    shop.close()


def sold(lane: PaperLane, minor: int = 100, **more: Any) -> str:
    sale = lane.stand_in(minor, **more)
    lane.capture(minor, sale)
    lane.upload()
    return sale


def ask(
    lane: PaperLane, sale: str, minor: int, request: str = "r-1", *, of: str = "A", currency: str = "CNY"
) -> dict[str, Any]:
    body = {"lender": LENDER, "request_id": request, "lane": of, "sale_id": sale, "epoch": 1}
    raw = json.dumps(body | {"amount": {"minor": minor, "currency": currency}}).encode()
    answer: dict[str, Any] = json.loads(lane.shop.backend.refund(read(RefundRequest, raw), raw, lane.name))
    return answer


def outcome(lane: PaperLane, sale: str, minor: int, request: str = "r-1", *, approved: bool = True) -> list[str]:
    body = {"amount_minor": minor, "currency": "CNY", "lane": "A", "sale_id": sale, "request": request}
    lane.write("refund_outcome", body | {"attempt": 1 if approved else None, "approved": approved})
    return lane.upload()


def hold_of(sale: str) -> Hold:
    return holds.find(Attempt("A", LENDER, sale, 1))


# -- the sale's own lane -----------------------------------------------------------------------------------------


def test_captures_in_parts_make_debt_and_the_final_one_releases_the_rest(shop: Shop) -> None:
    lane = shop.lanes["A"]
    sale = lane.stand_in(100, expires_at=shop.clock.now_s + 3600)
    body = {"amount_minor": 30, "currency": "CNY", "account": shop.token}
    lane.write("capture", body | {"final": False}, sale)
    lane.upload()
    assert (shop.account().used_minor, shop.account().held_minor) == (30, 70)
    lane.write("capture", body | {"final": True, "lease": {"epoch": 1, "delta_minor": -40}}, sale)
    assert lane.upload() == ["accepted"]
    assert (shop.account().used_minor, shop.account().held_minor, hold_of(sale).state) == (60, 0, "captured")
    lane.write("capture", body, sale)
    assert lane.upload() == ["parked:hold_captured"]


def test_a_void_and_a_refund_lower_the_debt_and_no_lease_grows(shop: Shop) -> None:
    lane, left = shop.lanes["A"], shop.account().outstanding_minor
    first, second = sold(lane), sold(lane)
    lane.write("void", {"amount_minor": 100, "currency": "CNY", "reason": "x"}, first)
    lane.write("refund", {"amount_minor": 40, "currency": "CNY", "reason": "x", "request": "a"}, second)
    assert lane.upload() == ["accepted", "accepted"]
    assert (hold_of(first).state, hold_of(second).state) == (HoldState.VOIDED, HoldState.PARTLY_REFUNDED)
    assert (shop.account().used_minor, shop.account().outstanding_minor) == (60, left - 200)


def test_what_the_cap_paid_is_refunded_without_a_debt(shop: Shop) -> None:
    lane = shop.lanes["A"]
    sale = lane.stand_in(100, funding="cap")
    lane.capture(100, sale)
    lane.upload()
    lane.write("refund", {"amount_minor": 100, "currency": "CNY"}, sale)
    assert lane.upload() == ["accepted"]
    assert (shop.account().used_minor, hold_of(sale).state) == (0, HoldState.REFUNDED)


def test_an_expiry_frees_the_credit_and_so_does_the_lanes_horizon_before_it(shop: Shop) -> None:
    lane = shop.lanes["A"]
    sale = lane.stand_in(100, expires_at=shop.clock.now_s + 3600)
    lane.upload()
    shop.clock.now_s += 7200
    assert shop.backend.release_expired() == 0, "a silent lane may have captured it in time"
    other = sold(lane, 50)
    assert shop.backend.release_expired() == 1
    assert (shop.account().held_minor, hold_of(sale).state) == (0, HoldState.AUTHORIZED)
    lane.write("expiry", {"amount_minor": 100, "currency": "CNY"}, sale)
    assert lane.upload() == ["accepted"]
    assert (hold_of(sale).state, hold_of(other).state) == (HoldState.EXPIRED, HoldState.CAPTURED)


def test_a_capture_after_the_lane_swore_that_the_hold_is_over_is_for_people(shop: Shop) -> None:
    lane = shop.lanes["A"]
    sale = lane.stand_in(100, expires_at=shop.clock.now_s + 3600)
    shop.clock.now_s += 7200
    sold(lane, 50)
    shop.backend.release_expired()
    lane.capture(100, sale)
    assert lane.upload() == ["disputed:hold_expired"]
    assert shop.account().used_minor == 50


# -- another lane ------------------------------------------------------------------------------------------------


def test_a_refund_elsewhere_is_set_aside_first_and_booked_by_its_journal(shop: Shop) -> None:
    sale = sold(shop.lanes["A"])
    answer = ask(shop.lanes["B"], sale, 60)
    assert (answer["approved"], answer["attempt"], shop.account().used_minor) == (True, 1, 100)
    assert ask(shop.lanes["B"], sale, 60) == answer, "asking again is how an outcome is found"
    assert ask(shop.lanes["B"], sale, 60, "r-2")["reason"] == "refund_above_captured"
    assert outcome(shop.lanes["B"], sale, 60) == ["accepted"]
    assert (shop.account().used_minor, hold_of(sale).reserved_minor) == (40, 0)
    assert ask(shop.lanes["B"], sale, 60) == answer


def test_a_decline_in_the_journal_frees_what_was_set_aside_and_a_late_request_is_declined(shop: Shop) -> None:
    sale = sold(shop.lanes["A"])
    ask(shop.lanes["B"], sale, 60)
    assert outcome(shop.lanes["B"], sale, 60, approved=False) == ["accepted"]
    assert outcome(shop.lanes["B"], sale, 50, "r-2", approved=False) == ["accepted"]
    assert (hold_of(sale).reserved_minor, shop.account().used_minor) == (0, 100)
    assert ask(shop.lanes["B"], sale, 50, "r-2")["reason"] == "refund_interrupted"


def test_another_currency_is_an_invalid_amount_and_sets_nothing_aside(shop: Shop) -> None:
    sale = sold(shop.lanes["A"])
    answer = ask(shop.lanes["B"], sale, 60, currency="EUR")
    assert (answer["response_code"], answer["reason"]) == ("13", "currency_mismatch")
    assert hold_of(sale).reserved_minor == 0


def test_a_refund_at_its_own_lane_has_happened_and_what_was_set_aside_elsewhere_gets_the_rest(shop: Shop) -> None:
    sale = sold(shop.lanes["A"])
    ask(shop.lanes["B"], sale, 60)
    shop.lanes["A"].write("refund", {"amount_minor": 50, "currency": "CNY"}, sale)
    assert shop.lanes["A"].upload() == ["accepted"]
    assert outcome(shop.lanes["B"], sale, 60) == ["disputed:refund_excess"]
    assert (shop.account().used_minor, Dispute.get().amount_minor) == (0, 10)


def test_what_was_set_aside_and_came_to_nothing_leaves_no_debt_of_a_sale_that_was_given_back(shop: Shop) -> None:
    sale = sold(shop.lanes["A"])
    ask(shop.lanes["B"], sale, 60)
    shop.lanes["A"].write("refund", {"amount_minor": 100, "currency": "CNY"}, sale)
    assert shop.lanes["A"].upload() == ["accepted"]
    assert outcome(shop.lanes["B"], sale, 60, approved=False) == ["accepted"]
    assert (shop.account().used_minor, hold_of(sale).state) == (0, HoldState.REFUNDED)


@pytest.mark.parametrize("approved", [True, False])
def test_an_outcome_that_names_another_sale_ends_what_its_request_had_set_aside_and_no_other(
    shop: Shop, approved: bool
) -> None:
    sale, other = sold(shop.lanes["A"]), sold(shop.lanes["A"])
    ask(shop.lanes["B"], sale, 60)
    ask(shop.lanes["B"], other, 10, "r-2")
    body = {"amount_minor": 60, "currency": "CNY", "lane": "A", "sale_id": other, "request": "r-1", "attempt": 1}
    shop.lanes["B"].write("refund_outcome", body | {"approved": approved})
    shop.lanes["B"].upload()
    assert (hold_of(sale).reserved_minor, hold_of(other).reserved_minor) == (0, 10)


@pytest.mark.parametrize(
    ("fields", "reason"), [({"lane": "elsewhere"}, "sale_unknown"), ({"currency": "EUR"}, "currency_mismatch")]
)
def test_an_outcome_that_books_nothing_leaves_nothing_set_aside(
    shop: Shop, fields: dict[str, str], reason: str
) -> None:
    sale = sold(shop.lanes["A"])
    ask(shop.lanes["B"], sale, 60)
    body = {"amount_minor": 60, "currency": "CNY", "lane": "A", "sale_id": sale, "request": "r-1", "attempt": 1}
    shop.lanes["B"].write("refund_outcome", body | {"approved": True} | fields)
    assert shop.lanes["B"].upload() == [f"parked:{reason}"]
    assert (hold_of(sale).reserved_minor, shop.account().used_minor) == (0, 100)
    assert not ask(shop.lanes["B"], sale, 60)["approved"], "its journal has ended this request"


def test_a_request_is_booked_once(shop: Shop) -> None:
    sale = sold(shop.lanes["A"])
    ask(shop.lanes["B"], sale, 40)
    assert outcome(shop.lanes["B"], sale, 40) == ["accepted"]
    assert outcome(shop.lanes["B"], sale, 40) == ["parked:refund_booked_before"]
    assert shop.account().used_minor == 60


def test_what_a_lane_set_aside_that_never_returns_is_free_when_its_journal_is_written_off(shop: Shop) -> None:
    sale = sold(shop.lanes["A"])
    answer = ask(shop.lanes["B"], sale, 60)
    operators.revoke(shop.backend, lane="B")
    assert hold_of(sale).reserved_minor == 60, "it may still send what it has"
    operators.write_off(shop.backend, lane="B")
    assert hold_of(sale).reserved_minor == 0
    assert answer["approved"] and not ask(shop.lanes["B"], sale, 60)["approved"]
    shop.lanes["A"].write("refund", {"amount_minor": 70, "currency": "CNY"}, sale)
    assert shop.lanes["A"].upload() == ["accepted"]
    assert outcome(shop.lanes["B"], sale, 60) == ["disputed:refund_excess"], "it came back after all"
    assert (shop.account().used_minor, Dispute.get().amount_minor) == (0, 30)


def test_a_write_off_frees_nothing_of_the_lanes_next_journal(shop: Shop) -> None:
    sale = sold(shop.lanes["A"])
    ask(shop.lanes["B"], sale, 60)
    transact(shop.backend.database, lambda: refunds.give_up("B", 2))
    assert hold_of(sale).reserved_minor == 60


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no such sale", {"sale": "never-made-1"}, "sale_unknown"),
    ("a lane that nobody knows", {"of": "Z"}, "lane_mismatch"),
]


@pytest.mark.parametrize(("fields", "problem"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_refund_of_nobodys_sale_is_refused(shop: Shop, fields: dict[str, Any], problem: str) -> None:
    sale = sold(shop.lanes["A"])
    with pytest.raises(Problem) as refused:
        ask(shop.lanes["B"], **({"sale": sale, "minor": 10} | fields))
    assert refused.value.problem == problem


@pytest.mark.parametrize(("approved", "result"), [(False, "accepted"), (True, "parked:sale_unknown")])
def test_a_declined_refund_of_a_lane_that_nobody_knows_is_no_case_for_people(
    shop: Shop, approved: bool, result: str
) -> None:
    body = {"amount_minor": 30, "currency": "CNY", "lane": "nowhere", "sale_id": "s-1", "request": "r-1"}
    shop.lanes["B"].write("refund_outcome", body | {"attempt": 1 if approved else None, "approved": approved})
    assert shop.lanes["B"].upload() == [result]


def test_what_is_only_held_is_not_refunded_elsewhere(shop: Shop) -> None:
    sale = shop.lanes["A"].stand_in(100)
    shop.lanes["A"].upload()
    answer = ask(shop.lanes["B"], sale, 10)
    assert (answer["approved"], answer["reason"]) == (False, "sale_authorized")


WHAT_HAPPENS = ["ask", "repeat", "book", "drop", "late", "own", "void"]
STEPS = st.lists(st.tuples(st.sampled_from(WHAT_HAPPENS), st.sampled_from("xyz"), st.integers(1, 120)), max_size=14)
PLACES: dict[str, Callable[[], str]] = {"sqlite": lambda: ":memory:", "postgresql": lambda: postgres().new_database()}


class TwoLanes:
    """Lane A sold for 100, and gives back at its own counter; lane B asks by the slip, and the line fails between any
    two steps. What one request was answered first is remembered here, and is what it must be answered for ever."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.own, self.other = shop, shop.lanes["A"], shop.lanes["B"]
        shop.cut("A", allowance_minor=300)
        self.own.install()
        self.sale = sold(self.own)
        self.open: dict[str, tuple[int, bool]] = {}
        self.ended: dict[str, tuple[int, bool]] = {}

    def step(self, what: str, name: str, minor: int) -> None:
        is_new = name not in self.open and name not in self.ended
        match what:
            case "own" | "void":
                said = {"amount_minor": 100 if what == "void" else minor, "currency": "CNY"}
                self.own.write("refund" if what == "own" else "void", said, self.sale)
                self.own.upload()
            case "ask" if is_new:
                self.open[name] = minor, ask(self.other, self.sale, minor, name)["approved"]
            case "late" if is_new:
                outcome(self.other, self.sale, minor, name, approved=False)
                self.ended[name] = minor, False
            case "book" | "drop" if name in self.open:
                minor, approved = self.open.pop(name)
                self.ended[name] = minor, approved and what == "book"
                outcome(self.other, self.sale, minor, name, approved=self.ended[name][1])
            case "repeat" if not is_new:
                minor, approved = (self.open | self.ended)[name]
                assert ask(self.other, self.sale, minor, name)["approved"] == approved

    def check(self) -> None:
        hold = hold_of(self.sale)
        assert 0 <= holds.given_back(hold) <= holds.captured(hold) == 100
        assert hold.reserved_minor == sum(minor for minor, approved in self.open.values() if approved)
        assert self.shop.account().used_minor == 100 - holds.given_back(hold)
        assert self.shop.findings() == []


@pytest.mark.proof
@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_whatever_is_lost_no_more_is_given_back_than_was_captured(
    place: str, steps: list[tuple[str, str, int]]
) -> None:
    shop = Shop.open(PLACES[place](), 1_000)
    try:
        lanes = TwoLanes(shop)
        for step in steps:
            lanes.step(*step)
            lanes.check()
    finally:
        shop.close()
