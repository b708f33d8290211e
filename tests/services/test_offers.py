"""A customer chooses how to pay: what is offered is what is journaled, before anybody is asked to lend."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent.core import trust
from agent.core.authorization import Hold, HoldState
from agent.core.coupons import Coupon, issue_coupon
from agent.core.default_policy import default_policy
from agent.core.disclosure import Choice, read_statement
from agent.core.journal import Kind
from agent.core.money import Money
from agent.core.policy import parse_policy, sign_policy
from agent.errors import IdempotencyConflict, OfferRefused
from agent.services.offers import Basket, Wish, disclosed
from agent.services.statements import rows
from agent.texts import LANGUAGES, catalogue
from drivers.document import to_text
from tests.services.lanes import CUSTOMER, LENDER, NOW_S, STRANGER, PaperLender, Till, approved, order
from tests.services.test_printing import print_for
from tests.uplink.world import run

PRICE = 30_000
"""Above the least amount of the plans, and below what the default policy lets a lane decide alone."""


@pytest.fixture
def till(opened: Callable[..., Till]) -> Till:
    return opened(grants={CUSTOMER: 40_000})


def coupon(till: Till, **changes: Any) -> str:
    said = Coupon(b"coupon-number-01", LENDER, CUSTOMER, NOW_S - 100, NOW_S + 100, 100_000)
    return issue_coupon(replace(said, **changes), till.lender.key(trust.Role.COUPON))


def sell(till: Till, wish: Wish | None, sale_id: str = "sale-0001", **fields: Any) -> Hold:
    return run(till.checkout.sell(order(sale_id, PRICE, wish=wish, **fields), till.phone().code()))


def refused(till: Till, wish: Wish, **fields: Any) -> str:
    """Why a sale cannot have what it wishes; nothing of it is recorded."""
    before = till.ledger.head
    with pytest.raises(OfferRefused) as error:
        sell(till, wish, **fields)
    assert till.ledger.head == before
    return error.value.reason


def basket(sale_id: str = "sale-0001") -> Basket:
    return Basket(Money(PRICE, "CNY"), "5411", CUSTOMER, sale_id)


def new_policy(till: Till, version: int, **plan: Any) -> None:
    """A newer policy, with changes to its plan of three payments."""
    payload = default_policy(LENDER, version=version, issued_at=NOW_S - 100, expires_at=NOW_S + 86_400)
    payload["instalments"]["plans"][1] |= plan
    till.lane.lenders.install_policy(LENDER, sign_policy(parse_policy(payload), till.lender.key(trust.Role.POLICY)))


def test_the_disclosure_is_on_the_disk_before_the_backend_is_asked(till: Till) -> None:
    asked: list[list[str]] = []

    async def look(request: Any) -> Any:
        asked.append(till.kinds("sale-0001"))
        return approved(request)

    till.backend.available, till.backend.answer = True, look
    sell(till, Wish("3x"))
    assert asked == [[Kind.DISCLOSURE, Kind.ONLINE_INTENT]]


def test_costs_that_were_shown_too_briefly_cannot_be_agreed_to(till: Till) -> None:
    """The policy says for how long; how long it was is in the journal."""
    payload = default_policy(LENDER, version=2, issued_at=NOW_S - 100, expires_at=NOW_S + 86_400)
    payload["limits"]["statement_shown_min_s"] = 5
    till.lane.lenders.install_policy(LENDER, sign_policy(parse_policy(payload), till.lender.key(trust.Role.POLICY)))
    menu = till.checkout.offers.menu(till.lane.lenders.first, basket())
    wish = Wish("6x", statement=menu.statements[2].digest)
    till.clock.pass_time(4)
    assert refused(till, wish) == "choice_early"
    till.clock.pass_time(1)
    sell(till, wish)
    body = till.entries(Kind.DISCLOSURE)[0].entry.body
    assert body["chosen_at"] - body["shown_at"] == 5


def test_a_clock_that_is_put_back_by_a_signed_time_makes_no_choice_an_early_one(till: Till) -> None:
    """Signed times are whole seconds, so one may be a second behind the one before."""
    menu, clock = till.checkout.offers.menu(till.lane.lenders.first, basket()), till.lane.clock
    nonce, keys = clock.ask(LENDER), till.lane.lenders.first.keys
    assert clock.accept(LENDER, nonce, till.lender.signed_time(nonce, NOW_S - 1), keys)
    sell(till, Wish("6x", statement=menu.statements[2].digest))


def test_the_next_customer_of_the_same_amount_is_shown_the_costs_anew(till: Till) -> None:
    """The statement is the same to the byte; what the customer before was shown does not count for this one."""
    menu = till.checkout.offers.menu(till.lane.lenders.first, basket("sale-0000"))
    till.clock.pass_time(60)
    till.checkout.offers.menu(till.lane.lenders.first, basket())
    till.clock.pass_time(7)
    sell(till, Wish("6x", statement=menu.statements[2].digest))
    body = till.entries(Kind.DISCLOSURE)[0].entry.body
    assert body["chosen_at"] - body["shown_at"] == 7


def test_a_stand_in_sale_in_three_payments(till: Till) -> None:
    hold = sell(till, Wish("3x"))
    disclosure, authorization, _ = (sealed.entry.body for sealed in till.ledger.sale_entries("sale-0001"))
    said = read_statement(disclosure["statement"])
    choice = Choice.of_body(authorization["plan"])
    assert hold.state is HoldState.CAPTURED
    assert [payment.minor for payment in said.payments] == [10_230, 10_230, 10_230]
    assert (choice.plan_id, choice.statement, choice.fee_minor) == ("3x", said.digest, 690)
    assert till.left() == 10_000, "the fee takes nothing of the credit line"


def test_how_long_an_offer_was_shown_is_journaled(till: Till) -> None:
    menu = till.checkout.offers.menu(till.lane.lenders.first, Basket(order(minor=PRICE).amount, "5411", CUSTOMER))
    till.clock.pass_time(17)
    sell(till, Wish("6x", statement=menu.statements[2].digest))
    body = till.entries(Kind.DISCLOSURE)[0].entry.body
    assert (body["shown_at"], body["chosen_at"]) == (NOW_S, NOW_S + 17)
    assert body["policy_version"] == 1


def test_the_question_to_the_backend_names_plan_statement_day_and_coupon(till: Till) -> None:
    till.backend.available, till.backend.answer = True, lambda request: _approved(request)
    text = coupon(till)
    sell(till, Wish("3x", text))
    (request,) = till.backend.requests
    assert request["plan"].keys() == {"id", "statement", "sold_on", "coupon"}
    assert (request["plan"]["id"], request["plan"]["sold_on"], request["plan"]["coupon"]) == ("3x", "2027-01-15", text)


async def _approved(request: Any) -> Any:
    return approved(request)


@pytest.mark.parametrize(
    ("wish", "fields", "reason"),
    [
        (Wish("9x"), {}, "plan_unknown"),
        (Wish("3x", statement=bytes(32)), {}, "plan_changed"),
        (Wish(None, "CFK1:AA"), {}, "coupon_without_plan"),
        (Wish("3x", "CFK1:AA"), {}, "coupon_malformed"),
        (Wish("3x"), {"capture": "later"}, "plan_capture"),
    ],
)
def test_what_cannot_be_chosen_is_refused_before_anything_is_recorded(
    till: Till, wish: Wish, fields: dict[str, Any], reason: str
) -> None:
    assert refused(till, wish, **fields) == reason
    assert all(reason in catalogue(language)["reasons"] for language in LANGUAGES)


def test_a_plan_is_not_for_amounts_out_of_its_range(till: Till) -> None:
    with pytest.raises(OfferRefused, match="plan_not_offered"):
        run(till.checkout.sell(order("sale-0001", 9_999, wish=Wish("3x")), till.phone().code()))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"expires_at": NOW_S}, "coupon_expired"),
        ({"valid_from": NOW_S + 1}, "coupon_not_yet"),
        ({"account": STRANGER}, "coupon_other_account"),
        ({"plans": ("6x",)}, "coupon_other_plan"),
        ({"amount_max_minor": PRICE - 1}, "coupon_amount"),
        ({"lender": "otherlend"}, "coupon_other_lender"),
    ],
)
def test_a_coupon_that_is_not_for_this_sale_is_refused(till: Till, changes: dict[str, Any], reason: str) -> None:
    assert refused(till, Wish("3x", coupon(till, **changes))) == reason


def test_another_lenders_coupon_is_refused(till: Till) -> None:
    foreign = Coupon(b"coupon-number-01", "otherlend", CUSTOMER, 1, 2**40, 10**9)
    text = issue_coupon(foreign, PaperLender("otherlend").key(trust.Role.COUPON))
    assert refused(till, Wish("3x", text)) == "coupon_other_lender"


def test_a_coupon_makes_a_sale_free_of_interest_and_is_used_up_by_it(till: Till) -> None:
    text = coupon(till)
    hold = sell(till, Wish("3x", text))
    assert hold.coupon == b"coupon-number-01"
    body = till.entries(Kind.AUTHORIZATION)[0].entry.body["plan"]
    assert (body["fee_minor"], body["merchant_fee_minor"]) == (0, 690)
    assert refused(till, Wish("3x", text), sale_id="sale-0002") == "coupon_used"
    till.restart()
    till.tell_time()
    assert refused(till, Wish("3x", text), sale_id="sale-0003") == "coupon_used", "it is used up on the disk"


def test_a_lenders_coupon_costs_the_merchant_nothing(till: Till) -> None:
    sell(till, Wish("3x", coupon(till, borne_by="lender")))
    body = till.entries(Kind.AUTHORIZATION)[0].entry.body["plan"]
    assert (body["fee_minor"], body["merchant_fee_minor"]) == (0, 0)


def test_a_split_fee_is_shown_whole_with_what_the_merchant_bears(till: Till) -> None:
    hold = sell(till, Wish("6x"))
    said = disclosed(till.ledger, hold)
    assert said is not None
    assert (said.fee_minor, said.merchant_minor) == (810, 540)
    figures = {row.label: row.figure for row in rows(said, "en")}
    assert (figures["Instalment fee"], figures["Borne by the merchant"]) == ("¥13.50", "-¥5.40")
    assert figures["All costs"] == "¥8.10"


def test_a_coupon_of_a_declined_sale_is_good_again(opened: Callable[..., Till]) -> None:
    till = opened(grants={CUSTOMER: 100})
    assert sell(till, Wish("3x", coupon(till))).state is HoldState.DECLINED
    till.install({CUSTOMER: 40_000})
    assert sell(till, Wish("3x", coupon(till)), "sale-0002").is_approved


def test_a_coupon_of_a_voided_sale_is_good_again(till: Till) -> None:
    sell(till, Wish("next-month", coupon(till)))
    assert till.ledger.coupon_sale(LENDER, b"coupon-number-01") == "sale-0001"
    run(till.lane.holds.void("sale-0001", "cashier"))
    assert till.ledger.coupon_sale(LENDER, b"coupon-number-01") is None


def test_a_coupon_in_use_by_an_open_intent_after_a_crash_is_used(till: Till) -> None:
    class PowerCut(BaseException):
        pass

    async def cut(request: Any) -> Any:
        raise PowerCut

    till.backend.available, till.backend.answer = True, cut
    with pytest.raises(PowerCut):
        sell(till, Wish("3x", coupon(till)))
    till.backend.available = False
    till.restart()
    till.tell_time()
    assert till.ledger.coupon_sale(LENDER, b"coupon-number-01") == "sale-0001"


def test_a_repeated_sale_gets_its_answer_and_another_plan_is_a_conflict(till: Till) -> None:
    code = till.phone().code()
    first = run(till.checkout.sell(order(minor=PRICE, wish=Wish("3x")), code))
    assert run(till.checkout.sell(order(minor=PRICE, wish=Wish("3x")), code)) == first
    with pytest.raises(IdempotencyConflict):
        run(till.checkout.sell(order(minor=PRICE, wish=Wish("6x")), code))


def test_payments_are_not_dated_by_a_clock_that_cannot_be_trusted(opened: Callable[..., Till]) -> None:
    till = opened(ready=False)
    with pytest.raises(OfferRefused, match="clock_untrusted"):
        till.checkout.offers.menu(till.lane.lenders.first, Basket(order().amount, "5411"))


# -- choosing at the counter ---------------------------------------------------------------------------------------


def wish_of(offer: dict[str, Any]) -> Wish:
    return Wish(offer["plan"], statement=bytes.fromhex(offer["statement"]))


async def scan(till: Till, code: str) -> dict[str, Any]:
    till.counter.scanned(code.encode(), "scanner")
    for _ in range(20):
        await asyncio.sleep(0)
    return till.counter.view("sale-0001")


def test_a_customer_who_is_asked_chooses_after_the_scan(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order(minor=PRICE, asks_offers=True))
        choosing = await scan(till, till.phone().code())
        assert (choosing["state"], choosing["lender"], choosing["attempt"]) == ("choosing", LENDER, 0)
        assert [offer["plan"] for offer in choosing["offers"]] == ["next-month", "3x", "6x", "12x"]
        till.clock.pass_time(120)  # longer than a code is fresh, shorter than it stays bound to its sale
        view = await till.counter.choose("sale-0001", wish_of(choosing["offers"][1]))
        assert view is not None
        assert (view["state"], view["plan"]["plan"], view["plan"]["total_minor"]) == ("approved", "3x", 30_690)
        assert await till.counter.choose("sale-0001", Wish("3x")) == till.counter.view("sale-0001"), "asked again"

    run(story())


def test_no_instalments_is_a_choice_too(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order(minor=PRICE, asks_offers=True), till.phone().code())
        view = await till.counter.choose("sale-0001", None)
        assert view is not None
        assert (view["state"], view["plan"]) == ("approved", None)

    run(story())


def test_a_policy_that_changes_the_plan_while_the_customer_chooses_shows_it_anew(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order(minor=PRICE, asks_offers=True))
        shown = (await scan(till, till.phone().code()))["offers"][1]
        new_policy(till, 2, fee_rate="0.03")
        with pytest.raises(OfferRefused, match="plan_changed"):
            await till.counter.choose("sale-0001", wish_of(shown))
        again = till.counter.view("sale-0001")
        assert (again["state"], again["reason"]) == ("choosing", "plan_changed")
        assert again["offers"][1]["fee_minor"] == 900
        view = await till.counter.choose("sale-0001", wish_of(again["offers"][1]))
        assert view is not None
        assert view["state"] == "approved", "the code is still good"

    run(story())


def test_a_newer_policy_that_leaves_the_plan_alone_changes_nothing(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order(minor=PRICE, asks_offers=True))
        shown = (await scan(till, till.phone().code()))["offers"][1]
        new_policy(till, 2)
        view = await till.counter.choose("sale-0001", wish_of(shown))
        assert view is not None
        assert view["state"] == "approved"

    run(story())


def test_who_chooses_longer_than_the_policy_lets_a_code_be_bound_shows_another(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order(minor=PRICE, asks_offers=True))
        await scan(till, till.phone().code())
        till.clock.pass_time(301)
        view = await till.counter.choose("sale-0001", Wish("3x"))
        assert view is not None
        assert (view["state"], view["reason"], view["response_code"]) == ("declined", "choice_late", "54")
        assert await till.counter.choose("sale-0001", Wish("3x")) == view, "asked again"
        assert (await scan(till, till.phone().code()))["state"] == "choosing"

    run(story())


def test_a_code_that_cannot_pay_is_told_to_whoever_chooses_and_takes_nothing_from_them(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order(minor=PRICE, asks_offers=True))
        await scan(till, till.phone().code())
        old = till.phone().code()
        till.clock.pass_time(120)
        view = await scan(till, old)
        assert (view["state"], view["reason"]) == ("choosing", "pass.proof_stale")
        assert "hold" not in view, "who chooses was not declined"
        paid = await till.counter.choose("sale-0001", Wish("3x"))
        assert paid is not None
        assert paid["state"] == "approved"

    run(story())


def test_a_choice_that_is_declined_is_shown_at_every_screen_at_once(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order(minor=PRICE, asks_offers=True))
        await scan(till, till.phone().code())
        till.clock.pass_time(301)
        listener = till.lane.events.subscribe()
        await till.counter.choose("sale-0001", Wish("3x"))
        told = [event["data"]["state"] for event in iter(listener.get_nowait, None)]
        assert told[-1] == "declined"

    run(story())


def test_a_coupon_that_is_scanned_goes_into_the_offers(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order(minor=PRICE, asks_offers=True))
        await scan(till, till.phone().code())
        view = await scan(till, coupon(till))
        assert [offer["fee_minor"] for offer in view["offers"]] == [0, 0, 0, 0]
        sold = await till.counter.choose("sale-0001", Wish("12x"))
        assert sold is not None
        assert sold["plan"]["coupon"] == b"coupon-number-01".hex()

    run(story())


def test_a_coupon_that_the_sale_was_opened_with_goes_into_the_offers(till: Till) -> None:
    async def story() -> None:
        opened = order(minor=PRICE, wish=Wish(None, coupon(till)), asks_offers=True)
        view = await till.counter.open_sale(opened, till.phone().code())
        assert [offer["fee_minor"] for offer in view["offers"]] == [0, 0, 0, 0]
        sold = await till.counter.choose("sale-0001", wish_of(view["offers"][3]))
        assert sold is not None
        assert (sold["state"], sold["plan"]["waived_minor"]) == ("approved", 2_250)

    run(story())


def test_a_coupon_that_helps_no_plan_is_told_of_beside_the_offers(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order(minor=PRICE, asks_offers=True))
        await scan(till, coupon(till, account=STRANGER))
        view = await scan(till, till.phone().code())
        assert (view["state"], view["reason"]) == ("choosing", "coupon_other_account")
        assert view["texts"]["customer"]

    run(story())


def test_a_plan_that_the_scanned_lender_does_not_have_lets_the_customer_choose(till: Till) -> None:
    async def story() -> None:
        await till.counter.open_sale(order(minor=PRICE, wish=Wish("24x")))
        view = await scan(till, till.phone().code())
        assert (view["state"], view["reason"]) == ("choosing", "plan_unknown")

    run(story())


# -- the slip ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [32, 48])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_slip_shows_every_payment_the_cost_and_its_yearly_rate(
    opened: Callable[..., Till], language: str, columns: int
) -> None:
    till = opened(grants={CUSTOMER: 40_000}, settings={"language": language})
    sell(till, Wish("3x", coupon(till)))
    print_for(till, 5)
    paper = to_text(till.printer.documents[0], columns)
    for due in ("2027-02-15", "2027-03-15", "2027-04-15"):
        assert due in paper
    assert "0.00%" in paper
    assert "-￥6.90" in paper
    labels = catalogue(language)["statement"]  # type: ignore[arg-type]
    assert labels["nothing_else"].split("，")[0].split(" ")[0] in paper


def test_the_view_and_the_slip_say_the_same_after_a_restart_and_a_newer_policy(till: Till) -> None:
    sell(till, Wish("3x"))
    before = till.counter.view("sale-0001")["plan"]
    till.restart()
    till.tell_time()
    new_policy(till, 2, fee_rate="0.9")
    assert till.counter.view("sale-0001")["plan"] == before
