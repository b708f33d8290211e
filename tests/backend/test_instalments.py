"""Fees of instalments in the books: only for what was disclosed, in double entry, and a coupon counts once."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest

from agent.core.coupons import Coupon, issue_coupon
from agent.core.disclosure import Choice, Statement, statement
from agent.core.instalments import Payment, annual_rate, offer
from agent.core.journal import Head
from agent.core.slip_claim import SlipClaim, make_claim
from agent.core.trust import Role
from backend import instalments
from backend.accounts import AccountRefused, Side
from backend.admin import accounts as operators
from backend.schema import CouponUse, Dispute, Lender, MerchantShare, Posting
from backend.settlement import fee_minor
from backend.wire import SettlementRequest, b64url, read
from tests.backend.lanes import LENDER, START, PaperLane, Shop

SOLD_ON = date(2027, 1, 15)
PRICE = 30_000
COUPON_ID = b"coupon-number-01"


@pytest.fixture
def shop(books: str) -> Iterator[Shop]:
    shop = Shop.open(books, 200_000, allowance_minor=80_000)
    for name in "AB":
        shop.cut(name)
        shop.lanes[name].install()
        shop.lanes[name].upload()
    yield shop
    assert shop.findings() == []
    shop.close()


def coupon(shop: Shop, **changes: Any) -> str:
    fields = {"borne_by": "merchant", "expires_at": START + 1_000, "account": shop.token} | changes
    said = Coupon(COUPON_ID, LENDER, valid_from=START - 10, amount_max_minor=10**6, **fields)  # type: ignore[arg-type]
    return issue_coupon(said, shop.backend.lenders[LENDER].keys[Role.COUPON])


@dataclass(frozen=True)
class Deal:
    """A plan as a lane offers it, with what its entries and its question say of it."""

    said: Statement
    coupon: str | None

    @property
    def wish(self) -> dict[str, Any]:
        digest = base64.urlsafe_b64encode(self.said.digest).rstrip(b"=").decode()
        return {"id": self.said.plan_id, "statement": digest, "sold_on": "2027-01-15", "coupon": self.coupon}


def deal(shop: Shop, plan_id: str = "3x", text: str | None = None, *, borne_by: str = "merchant") -> Deal:
    terms = shop.backend.lenders[LENDER].policy.instalments
    plan = terms.find(plan_id) if terms else None
    assert terms is not None and plan is not None
    used = Coupon(COUPON_ID, LENDER, shop.token, 0, 1, 10**6, borne_by) if text else None  # type: ignore[arg-type]
    made = offer(plan, PRICE, SOLD_ON, interest_free=used is not None)
    return Deal(statement(terms, made, "CNY", SOLD_ON, used), text)


def disclose(lane: PaperLane, made: Deal, sale_id: str) -> None:
    body = {"amount_minor": PRICE, "currency": "CNY", "account": lane.shop.token, "policy_version": 1}
    lane.write("disclosure", body | {"statement": made.said.encode(), "coupon": made.coupon}, sale_id)


def sell(lane: PaperLane, made: Deal, **more: Any) -> str:
    """A stand-in sale that is disclosed, approved and captured."""
    sale_id = lane.new_sale()
    disclose(lane, made, sale_id)
    lane.stand_in(PRICE, sale_id, **({"plan": Choice.of(made.said).to_body()} | more))
    lane.capture(PRICE, sale_id)
    return sale_id


def settled(lane: PaperLane, batch: int, first_number: int, last: Head) -> dict[str, Any]:
    body = {"lender": LENDER, "epoch": 1, "batch": batch, "first_number": first_number, "last_number": last.number}
    body |= {"chain_head": b64url(last.hash), "totals": {}}
    answer: dict[str, Any] = json.loads(
        lane.shop.backend.settle(read(SettlementRequest, json.dumps(body).encode()), lane.name)
    )
    return answer


def fee_of(answer: dict[str, Any]) -> int:
    return int((answer["merchant_fee"] or {"minor": 0})["minor"])


def balance(side: Side) -> int:
    """Debits less credits over all postings."""
    return sum(row.minor * ((row.debit == side) - (row.credit == side)) for row in Posting.select())


def used_by() -> tuple[str, str]:
    use = CouponUse.get()
    return use.lane, use.sale_id


def fees() -> tuple[int, int, int, int]:
    """Of customer, merchant, lender; and the income."""
    return (balance(Side.FEE), balance(Side.MERCHANT_FEE), balance(Side.COUPON), -balance(Side.FEE_INCOME))


@pytest.mark.parametrize(("plan_id", "owed"), [("3x", (690, 0, 0, 690)), ("6x", (810, 540, 0, 1_350))])
def test_the_fee_is_posted_to_whoever_bears_it_and_takes_nothing_of_the_limit(
    shop: Shop, plan_id: str, owed: tuple[int, ...]
) -> None:
    lane = shop.lanes["A"]
    sell(lane, deal(shop, plan_id))
    assert lane.upload() == ["accepted"] * 3
    assert fees() == owed
    assert shop.account().used_minor == PRICE


def test_no_fee_is_posted_before_the_capture(shop: Shop) -> None:
    lane, made = shop.lanes["A"], deal(shop)
    disclose(lane, made, "sale-A-9001")
    lane.stand_in(PRICE, "sale-A-9001", plan=Choice.of(made.said).to_body())
    lane.upload()
    assert fees() == (0, 0, 0, 0)


def test_a_refund_gives_the_fee_back_in_the_same_share_and_in_the_end_all_of_it(shop: Shop) -> None:
    lane = shop.lanes["A"]
    sale_id = sell(lane, deal(shop, "6x"))
    for part in (9_999, 10_001):
        lane.write("refund", {"amount_minor": part, "currency": "CNY"}, sale_id)
    lane.upload()
    assert fees() == (270, 180, 0, 450)
    lane.write("refund", {"amount_minor": 10_000, "currency": "CNY"}, sale_id)
    lane.upload()
    assert fees() == (0, 0, 0, 0)


def test_a_fee_is_due_in_the_share_that_became_debt_for_customer_and_merchant_alike(shop: Shop) -> None:
    lane, made, sale_id = shop.lanes["A"], deal(shop, "6x"), "sale-A-9001"
    disclose(lane, made, sale_id)
    lane.stand_in(PRICE, sale_id, plan=Choice.of(made.said).to_body())
    lane.capture(PRICE // 3, sale_id)
    assert lane.upload() == ["accepted"] * 3
    assert fees() == (270, 180, 0, 450)
    of_third = fee_minor(PRICE // 3, Lender.get(Lender.lender == LENDER).fee_basis_points)
    assert fee_of(settled(lane, 1, 1, lane.head)) - of_third == 180
    lane.write("refund", {"amount_minor": PRICE // 3, "currency": "CNY"}, sale_id)
    lane.upload()
    assert fees() == (0, 0, 0, 0)


def test_what_no_lease_covers_is_no_debt_and_leaves_no_fee(shop: Shop) -> None:
    lane, made = shop.lanes["A"], deal(shop)
    for _ in range(3):
        sell(lane, made)
    assert lane.upload()[-3:] == ["accepted", "disputed:lease_excess", "accepted"]
    assert shop.account().used_minor == 80_000
    assert fees()[0] == 690 + 690 + 690 * 20_000 // PRICE


def test_a_plan_of_a_sale_that_a_slip_told_of_first_is_posted_with_its_journal(shop: Shop) -> None:
    lane, made, sale_id = shop.lanes["A"], deal(shop), "sale-A-9001"
    disclose(lane, made, sale_id)
    sealed = lane.stand_in(PRICE, sale_id, plan=Choice.of(made.said).to_body())
    claim = SlipClaim("A", 1, LENDER, sealed, 1, shop.token, PRICE, "CNY", START, 1, PRICE)
    shop.backend.claim(make_claim(claim, lane.key))
    lane.capture(PRICE, sale_id)
    assert lane.upload() == ["accepted", "disputed:claimed_before", "accepted"]
    assert fees() == (690, 0, 0, 690)


def test_a_customer_pays_fees_beside_the_debt_and_gets_back_what_a_refund_takes_away(shop: Shop) -> None:
    lane = shop.lanes["A"]
    sale_id = sell(lane, deal(shop))
    lane.upload()
    books = operators.repay(shop.backend, account=shop.token.hex(), amount_minor=10_000, fee_minor=230)
    assert (books["used_minor"], books["fee_minor"]) == (20_000, 460)
    with pytest.raises(AccountRefused, match="debt of 20000 and the fees of 460"):
        operators.repay(shop.backend, account=shop.token.hex(), fee_minor=461)
    lane.write("refund", {"amount_minor": PRICE, "currency": "CNY"}, sale_id)
    lane.upload()
    assert (shop.account().used_minor, shop.account().fee_minor, -balance(Side.OWED)) == (0, 0, 10_230)


def test_a_batch_takes_the_merchants_share_once_and_none_of_a_sale_that_it_voids(shop: Shop) -> None:
    lane, made = shop.lanes["A"], deal(shop, "6x")
    in_parts = lane.new_sale()
    disclose(lane, made, in_parts)
    lane.stand_in(PRICE, in_parts, plan=Choice.of(made.said).to_body())
    half = {"amount_minor": PRICE // 2, "currency": "CNY", "account": shop.token}
    lane.write("capture", half | {"final": False}, in_parts)
    first_end = lane.head
    voided = sell(lane, made)
    lane.write("void", {"amount_minor": PRICE, "currency": "CNY", "reason": "cashier"}, voided)
    lane.write("capture", half, in_parts)
    lane.upload()
    of_half = fee_minor(PRICE // 2, Lender.get(Lender.lender == LENDER).fee_basis_points)
    batches = settled(lane, 1, 1, first_end), settled(lane, 2, first_end.number + 1, lane.head)
    assert [fee_of(batch) - of_half for batch in batches] == [0, made.said.merchant_fee_minor]


def test_a_batch_with_a_refund_of_an_earlier_sale_gives_the_merchant_its_share_back(shop: Shop) -> None:
    lane, made = shop.lanes["A"], deal(shop, "6x")
    first = sell(lane, made)
    first_end = lane.head
    sell(lane, made)
    for part in (PRICE // 2, PRICE - PRICE // 2):
        lane.write("refund", {"amount_minor": part, "currency": "CNY"}, first)
        lane.upload()
    of_price = fee_minor(PRICE, Lender.get(Lender.lender == LENDER).fee_basis_points)
    before, after = settled(lane, 1, 1, first_end), settled(lane, 2, first_end.number + 1, lane.head)
    share = made.said.merchant_fee_minor
    assert share > 0
    assert (fee_of(before), fee_of(after)) == (of_price + share, 0), "of the second one sold and one given back"
    shares = sum(row.minor for row in MerchantShare.select())
    assert shares == balance(Side.MERCHANT_FEE) == share, "the shares are what the books say"


@pytest.mark.parametrize("end", ["reversal", "expiry"])
def test_a_batch_takes_the_merchants_share_when_the_rest_of_a_sale_was_given_up_and_never_again(
    shop: Shop, end: str
) -> None:
    lane, made, sale_id = shop.lanes["A"], deal(shop, "6x"), "sale-A-9001"
    disclose(lane, made, sale_id)
    lane.stand_in(PRICE, sale_id, plan=Choice.of(made.said).to_body())
    third = {"amount_minor": PRICE // 3, "currency": "CNY", "account": shop.token, "final": False}
    lane.write("capture", third, sale_id)
    rest = {"amount_minor": PRICE * 2 // 3, "currency": "CNY", "reason": "x"}
    lane.write(end, rest, sale_id)
    first_end = lane.head
    lane.write("reversal", rest, sale_id)
    assert lane.upload() == ["accepted"] * 4 + ["parked:hold_captured"]
    assert fees() == (270, 180, 0, 450)
    of_third = fee_minor(PRICE // 3, Lender.get(Lender.lender == LENDER).fee_basis_points)
    batches = settled(lane, 1, 1, first_end), settled(lane, 2, first_end.number + 1, lane.head)
    assert [fee_of(batch) for batch in batches] == [of_third + 180, 0]


@pytest.mark.parametrize(("borne_by", "owed"), [("merchant", (0, 690, 0, 690)), ("lender", (0, 0, 690, 690))])
def test_a_coupons_fee_is_borne_by_whom_it_names(shop: Shop, borne_by: str, owed: tuple[int, ...]) -> None:
    lane = shop.lanes["A"]
    sell(lane, deal(shop, "3x", coupon(shop, borne_by=borne_by), borne_by=borne_by))
    assert lane.upload() == ["accepted"] * 3
    assert fees() == owed


@pytest.mark.parametrize(("borne_by", "minor"), [("merchant", 0), ("lender", 690)])
def test_the_second_use_of_a_coupon_is_an_exception_and_the_sale_stands(shop: Shop, borne_by: str, minor: int) -> None:
    text = coupon(shop, borne_by=borne_by)
    made = deal(shop, "3x", text, borne_by=borne_by)
    for name in "AB":
        sell(shop.lanes[name], made)
    assert shop.lanes["A"].upload() == ["accepted"] * 3
    assert shop.lanes["B"].upload() == ["accepted", "disputed:coupon_used", "accepted"]
    (dispute,) = Dispute.select()
    assert (dispute.bearer, dispute.amount_minor) == (borne_by, minor)
    assert shop.account().used_minor == 2 * PRICE


def test_a_coupon_is_not_good_again_while_another_sale_that_used_it_stands_disputed(shop: Shop) -> None:
    made = deal(shop, "3x", coupon(shop))
    one, other = shop.lanes["A"], shop.lanes["B"]
    disclose(one, made, "sale-A-9001")
    one.stand_in(PRICE, "sale-A-9001", plan=Choice.of(made.said).to_body())
    one.upload()
    second = sell(other, made)
    assert other.upload() == ["accepted", "disputed:coupon_used", "accepted"]
    one.reverse(PRICE, "sale-A-9001")
    one.upload()
    assert used_by() == ("B", second)
    other.write("void", {"amount_minor": PRICE, "currency": "CNY", "reason": "cashier"}, second)
    other.upload()
    assert used_by() == ("", ""), "nothing stands any more that was made with it"


@pytest.mark.parametrize("end", ["reversal", "expiry"])
def test_what_was_captured_before_the_rest_ended_keeps_its_coupon_and_owes_its_fee(shop: Shop, end: str) -> None:
    lane, made, sale_id = shop.lanes["A"], deal(shop, "3x", coupon(shop)), "sale-A-9001"
    disclose(lane, made, sale_id)
    lane.stand_in(PRICE, sale_id, plan=Choice.of(made.said).to_body())
    lane.write("capture", {"amount_minor": PRICE // 3, "currency": "CNY", "final": False}, sale_id)
    lane.write(end, {"amount_minor": PRICE * 2 // 3, "currency": "CNY", "reason": "x"}, sale_id)
    assert lane.upload() == ["accepted"] * 4
    assert fees() == (0, 230, 0, 230)
    assert ask(shop.lanes["B"], made)[1]["reason"] == "coupon_used"


def test_a_coupon_of_a_plan_that_people_must_look_at_is_used_up(shop: Shop) -> None:
    lane, made = shop.lanes["A"], deal(shop, "3x", coupon(shop))
    sell(lane, made, plan=Choice.of(made.said).to_body() | {"merchant_fee_minor": 1})
    assert lane.upload() == ["accepted", "disputed:plan_differs", "accepted"]
    assert ask(shop.lanes["B"], made)[1]["reason"] == "coupon_used"


def test_a_coupon_that_an_answer_used_is_good_again_when_the_lane_never_had_the_sale(shop: Shop) -> None:
    lane, made = shop.lanes["A"], deal(shop, "3x", coupon(shop))
    sale_id, answer = ask(lane, made)
    lane.reverse(PRICE, sale_id)
    assert answer["approved"] and lane.upload()[-1] == "parked:hold_intended"
    assert ask(shop.lanes["B"], made)[1]["approved"]


def test_a_coupon_of_a_reversed_sale_is_good_again(shop: Shop) -> None:
    made = deal(shop, "3x", coupon(shop))
    one, other = shop.lanes["A"], shop.lanes["B"]
    disclose(one, made, "sale-A-9001")
    one.stand_in(PRICE, "sale-A-9001", plan=Choice.of(made.said).to_body())
    one.reverse(PRICE, "sale-A-9001", restored_minor=PRICE)
    assert one.upload() == ["accepted"] * 3
    sell(other, made)
    assert other.upload() == ["accepted"] * 3


def test_a_void_gives_back_fee_and_coupon(shop: Shop) -> None:
    lane, made = shop.lanes["A"], deal(shop, "3x", coupon(shop))
    sale_id = sell(lane, made)
    lane.write("void", {"amount_minor": PRICE, "currency": "CNY", "reason": "cashier"}, sale_id)
    sell(lane, made)
    assert lane.upload() == ["accepted"] * 7
    assert fees() == (0, 690, 0, 690)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"account": bytes(16)}, "coupon_other_account"),
        ({"expires_at": START - 1}, "coupon_expired"),
        ({"borne_by": "lender"}, "plan_differs"),
    ],
)
def test_a_coupon_that_a_lane_should_not_have_taken_is_seen(shop: Shop, changes: dict[str, Any], reason: str) -> None:
    lane = shop.lanes["A"]
    sell(lane, deal(shop, "3x", coupon(shop, **changes)))
    assert lane.upload() == ["accepted", f"disputed:{reason}", "accepted"]


def test_a_plan_that_was_not_disclosed_is_seen_and_leaves_no_fee(shop: Shop) -> None:
    lane, plan = shop.lanes["A"], Choice.of(deal(shop).said).to_body()
    sale_id = lane.stand_in(PRICE, plan=plan)
    lane.capture(PRICE, sale_id)
    assert lane.upload() == ["disputed:plan_undisclosed", "accepted"]
    assert fees() == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ({"fee_minor": 1}, "plan_differs"),
        ({"statement": bytes(32)}, "plan_undisclosed"),
        ({"id": 7}, "plan_malformed"),
        ({"fee_minor": -1}, "plan_malformed"),
    ],
)
def test_a_plan_that_is_not_the_disclosed_one_is_seen(shop: Shop, plan: dict[str, Any], reason: str) -> None:
    lane, made = shop.lanes["A"], deal(shop)
    sell(lane, made, plan=Choice.of(made.said).to_body() | plan)
    assert lane.upload() == ["accepted", f"disputed:{reason}", "accepted"]
    assert fees() == (0, 0, 0, 0)


def test_a_disclosure_that_is_no_statement_is_parked(shop: Shop) -> None:
    lane = shop.lanes["A"]
    body = {"amount_minor": PRICE, "currency": "CNY", "account": shop.token}
    lane.write("disclosure", body | {"statement": b"\x00", "coupon": None}, "sale-A-9001")
    assert lane.upload() == ["parked:body_malformed"]


# -- online ----------------------------------------------------------------------------------------------------------


def ask(lane: PaperLane, made: Deal, **wish: Any) -> tuple[str, dict[str, Any]]:
    sale_id = lane.new_sale()
    disclose(lane, made, sale_id)
    lane.intend(PRICE, sale_id)
    return sale_id, lane.ask(lane.request(PRICE, sale_id, plan=made.wish | wish))


def test_an_online_sale_in_instalments(shop: Shop) -> None:
    lane, made = shop.lanes["A"], deal(shop)
    sale_id, answer = ask(lane, made)
    assert answer["approved"]
    body = {name: answer[name] for name in ("approved", "response_code", "reason")}
    body |= {"amount_minor": PRICE, "currency": "CNY", "account": shop.token, "plan": Choice.of(made.said).to_body()}
    lease = {"epoch": 1, "delta_minor": answer["lease_used_minor"]}
    lane.write("online_outcome", body | {"lease": lease}, sale_id)
    lane.capture(PRICE, sale_id)
    assert lane.upload() == ["accepted"] * 4
    assert fees() == (690, 0, 0, 690)


@pytest.mark.parametrize(
    ("wish", "reason", "code"),
    [
        ({"id": "9x"}, "plan_unknown", "12"),
        ({"id": "6x"}, "plan_changed", "12"),
        ({"sold_on": "2027-01-14"}, "plan_changed", "12"),
        ({"sold_on": "2027-01-18"}, "plan_changed", "12"),
        ({"coupon": "CFK1:AA"}, "coupon_malformed", "12"),
    ],
)
def test_what_does_not_add_up_is_declined(shop: Shop, wish: dict[str, Any], reason: str, code: str) -> None:
    _, answer = ask(shop.lanes["A"], deal(shop), **wish)
    assert (answer["approved"], answer["reason"], answer["response_code"]) == (False, reason, code)


def test_a_coupon_is_used_once_online_too(shop: Shop) -> None:
    made = deal(shop, "3x", coupon(shop))
    _, first = ask(shop.lanes["A"], made)
    _, second = ask(shop.lanes["B"], made)
    assert (first["approved"], second["reason"], second["response_code"]) == (True, "coupon_used", "94")


def test_a_declined_online_sale_uses_no_coupon_up(shop: Shop) -> None:
    made = deal(shop, "3x", coupon(shop))
    one, other = shop.lanes["A"], shop.lanes["B"]
    sale_id, answer = ask(one, made)
    assert answer["approved"]
    one.decline(PRICE, sale_id)  # the answer never reached the lane
    one.upload()
    assert ask(other, made)[1]["approved"]


def test_the_sales_of_an_account_are_shown_with_their_schedules(shop: Shop) -> None:
    lane = shop.lanes["A"]
    sale_id = sell(lane, deal(shop))
    lane.upload()
    ((row, said),) = instalments.sales_of(LENDER, shop.token)
    assert (row.sale_id, row.plan) == (sale_id, "3x")
    assert [payment.minor for payment in said.payments] == [10_230, 10_230, 10_230]


def costing(said: Statement, fee_minor: int) -> Statement:
    """The statement with such a fee on each payment, which adds up all the same."""
    payments = tuple(replace(payment, fee_minor=fee_minor) for payment in said.payments)
    rate = annual_rate(said.principal_minor, [each.minor for each in payments], first_months=said.first_months)
    return replace(said, payments=payments, nominal=str(rate.nominal), effective=str(rate.effective))


NOT_OFFERED: dict[str, tuple[Callable[[Statement], Statement], str | None, str]] = {
    "a fee of its own": (lambda said: costing(said, 10**6), None, "plan_differs"),
    "another day": (lambda said: replace(said, sold_on=date(2026, 1, 15)), None, "plan_differs"),
    "another currency": (lambda said: replace(said, currency="USD"), None, "plan_differs"),
    "a plan that is none": (lambda said: replace(said, plan_id="none"), None, "plan_differs"),
    "NUL in the plan": (lambda said: replace(said, plan_id="3\0x"), None, "body_malformed"),
    "NUL in the coupon": (lambda said: said, "CFK1:\0", "body_malformed"),
    "no figure": (
        lambda said: replace(said, principal_minor=1, payments=(Payment(SOLD_ON, 1, 2**50),)),
        None,
        "body_malformed",
    ),
}


@pytest.mark.parametrize("case", NOT_OFFERED)
def test_what_no_policy_offers_is_no_disclosure_and_its_sale_stands_without_a_fee(shop: Shop, case: str) -> None:
    change, text, reason = NOT_OFFERED[case]
    lane, made = shop.lanes["A"], deal(shop)
    sell(lane, Deal(change(made.said), text))
    assert lane.upload() == [f"parked:{reason}", "disputed:plan_undisclosed", "accepted"]
    assert fees() == (0, 0, 0, 0)
    assert shop.account().used_minor == PRICE


@pytest.mark.parametrize(
    ("version", "result"),
    [(None, "parked:plan_differs"), ("1", "parked:plan_differs"), (2**63, "parked:plan_differs"), (2, "accepted")],
)
def test_a_statement_of_no_policy_is_refused_and_one_that_books_have_forgotten_is_judged_by_the_present_one(
    shop: Shop, version: Any, result: str
) -> None:
    lane, made, sale_id = shop.lanes["A"], deal(shop), "sale-A-9001"
    body = {"amount_minor": PRICE, "currency": "CNY", "account": shop.token, "policy_version": version}
    lane.write("disclosure", body | {"statement": made.said.encode(), "coupon": None}, sale_id)
    assert lane.upload() == [result]


def test_the_end_of_one_attempt_leaves_the_coupon_to_the_next_one_that_was_answered_already(shop: Shop) -> None:
    made, lane = deal(shop, "3x", coupon(shop)), shop.lanes["A"]
    sale_id, first = ask(lane, made)
    body = {"amount_minor": PRICE, "currency": "CNY", "account": shop.token}
    said = body | {"policy_version": 1, "statement": made.said.encode(), "coupon": made.coupon}
    lane.write("disclosure", said, sale_id)
    lane.write("decline", body | {"response_code": "68", "reason": "x", "rules": []}, sale_id)
    second = lane.ask(lane.request(PRICE, sale_id, attempt=2, plan=made.wish))
    assert (first["approved"], second["approved"]) == (True, True)
    assert set(lane.upload()) == {"accepted"}
    assert CouponUse.get().sale_id == sale_id
