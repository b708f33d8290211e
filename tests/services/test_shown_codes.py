"""The lane's own code for a sale: shown when it can be paid, paid by an account that nobody knew, ended cleanly."""

import asyncio
from typing import Any

import pytest

from agent.core.authorization import HoldState
from agent.core.merchant_code import Presented, read_code, reference_of
from agent.core.money import Money
from agent.errors import CodeNotShown, UplinkRefused, UplinkUnavailable
from agent.ports import AttemptUnknown
from agent.services.offers import Wish
from agent.services.shown_codes import Sign
from agent.texts import text
from drivers.document import to_text
from tests.services.lanes import CUSTOMER, LENDER, Till, approved, declined, order
from tests.uplink.world import run

SALE = "sale-0001"
AMOUNT = Money(3_000, "CNY")
PENDING = declined("09", reason="code_shown", pending=True)
SIGN = Sign("m1", "Corner Shop", "Shanghai", "CN", "街角小店", "s1")


def paid(account: bytes = CUSTOMER, **fields: Any) -> dict[str, Any]:
    return approved({"amount": AMOUNT.to_wire()}, account=account.hex()) | fields


@pytest.fixture
def till(opened: Any) -> Till:
    till: Till = opened(ready=False)
    till.settings["sign"] = SIGN
    till.restart()
    till.tell_time()
    till.backend.available = True
    till.backend.answer = till.backend.known = PENDING
    return till


async def shown(till: Till) -> dict[str, Any]:
    """The sale's view once its code may be scanned."""
    await till.counter.open_sale(order(SALE))
    assert till.counter.show_code(SALE, LENDER)
    return await till.counter.wait(SALE, lambda view: "own_code" in view or view["state"] != "asking", 30)


async def decided(till: Till) -> dict[str, Any]:
    return await till.counter.wait(SALE, lambda view: view["state"] not in ("asking", "waiting"), 300)


def test_a_code_is_shown_paid_and_an_online_sale_of_the_account_that_paid(till: Till) -> None:
    async def story() -> dict[str, Any]:
        view = await shown(till)
        code = read_code(view["own_code"]["text"])
        assert code == Presented(LENDER, "m1", reference_of("lane-01", SALE, 1), AMOUNT)
        assert (view["state"], view["said"], view["lender"]) == ("asking", "code_shown", LENDER)
        assert 118 <= view["own_code"]["left_s"] <= 120 and view["may"] == ["abandonment", "merchant-code"]
        till.backend.known = paid()
        return await decided(till)

    view = run(story())
    assert (view["state"], view["mode"], view["lender"]) == ("approved", "online", LENDER)
    assert "own_code" not in view
    (hold,) = till.ledger.attempts(SALE)
    assert (hold.account, hold.state, hold.lease_minor) == (CUSTOMER, HoldState.CAPTURED, 0)
    assert till.kinds(SALE) == ["online_intent", "online_outcome", "capture"]
    intent, outcome = (sealed.entry.body for sealed in till.entries()[-3:-1])
    assert (intent["account"], outcome["account"]) == (None, CUSTOMER)
    (request,) = till.backend.requests
    assert request["merchant_code"]["valid_s"] == 120 and "pass" not in request and request["lease"] is None
    (job,) = till.ledger.print_jobs(SALE)
    assert f"****{CUSTOMER.hex()[-4:]}" in to_text(job.slip.document, 42)


def test_the_intent_is_on_the_disk_before_the_code_is_shown_and_no_code_before_the_backend_takes_it(till: Till) -> None:
    async def asked(_request: Any) -> Any:
        assert till.kinds(SALE) == ["online_intent"]
        assert "own_code" not in till.counter.view(SALE)
        return PENDING

    till.backend.answer = asked
    assert "own_code" in run(shown(till))


def test_who_is_told_asks_at_once(till: Till) -> None:
    async def story() -> float:
        await shown(till)
        till.backend.known = paid()
        began_s = asyncio.get_running_loop().time()
        till.checkout.wallets.told(LENDER, SALE, 2)
        till.checkout.wallets.told("other", SALE, 1)
        assert till.checkout.wallets.code_of(SALE)
        till.checkout.wallets.told(LENDER, SALE, 1)
        await decided(till)
        return asyncio.get_running_loop().time() - began_s

    assert run(story()) < 1, "the next look is two seconds away"


def test_who_is_told_twice_late_or_of_nothing_changes_nothing(till: Till) -> None:
    async def story() -> None:
        await shown(till)
        for _ in range(3):
            till.checkout.wallets.told(LENDER, SALE, 1)
        await asyncio.sleep(5)
        assert till.counter.view(SALE)["state"] == "asking"
        till.backend.known = paid()
        await decided(till)
        till.checkout.wallets.told(LENDER, SALE, 1)

    run(story())
    assert till.kinds(SALE) == ["online_intent", "online_outcome", "capture"]


def test_without_a_line_the_key_says_so_at_once_and_nothing_is_recorded(till: Till) -> None:
    till.backend.available = False

    async def story() -> None:
        await till.counter.open_sale(order(SALE))
        with pytest.raises(CodeNotShown) as refused:
            till.counter.show_code(SALE, LENDER)
        assert refused.value.reason == "code_online_only"

    run(story())
    assert till.kinds(SALE) == [] and till.counter.view(SALE)["state"] == "waiting"


@pytest.mark.parametrize(
    ("answer", "reason", "response_code"),
    [
        (UplinkUnavailable("down"), "code_online_only", "91"),
        (UplinkRefused("recovering"), "code_unreachable", "91"),
        (declined("94", reason="tombstoned"), "tombstoned", "94"),
    ],
    ids=["line lost", "refused", "no"],
)
def test_a_code_that_cannot_be_registered_is_never_shown(
    till: Till, answer: Any, reason: str, response_code: str
) -> None:
    till.backend.answer = answer
    view = run(shown(till))
    assert (view["state"], view["reason"], view["response_code"]) == ("declined", reason, response_code)
    assert view["waiting_for_code"], "another code may follow"


def test_nobody_pays_in_time(till: Till) -> None:
    async def story() -> tuple[dict[str, Any], float]:
        await shown(till)
        return await decided(till), asyncio.get_running_loop().time()

    view, took_s = run(story())
    assert (view["reason"], view["response_code"]) == ("code_unanswered", "68")
    assert took_s == pytest.approx(120, abs=4)
    assert till.backend.inquiries[-1] == (LENDER, SALE, 1), "asked a last time when it was over"


@pytest.mark.parametrize("is_paid", [False, True], ids=["nobody paid", "paid just then"])
def test_the_cashier_gives_up(till: Till, is_paid: bool) -> None:
    async def story() -> dict[str, Any]:
        await shown(till)
        if is_paid:
            till.backend.known = paid()
        assert till.checkout.wallets.abandon(SALE)
        return await decided(till)

    view = run(story())
    assert view["state"] == ("approved" if is_paid else "declined")
    assert is_paid or view["reason"] == "code_abandoned"


def test_after_giving_up_a_new_code_is_another_attempt_with_another_reference(till: Till) -> None:
    async def story() -> None:
        first = await shown(till)
        till.checkout.wallets.abandon(SALE)
        await decided(till)
        second = await shown(till)
        assert second["attempt"] == 2
        assert first["own_code"]["text"] != second["own_code"]["text"]
        till.backend.known = paid()
        await till.counter.wait(SALE, lambda view: view["state"] == "approved", 30)

    run(story())
    assert [hold.state for hold in till.ledger.attempts(SALE)] == [HoldState.DECLINED, HoldState.CAPTURED]


@pytest.mark.parametrize(
    "wrong",
    [paid(account=b""), paid(amount={"minor": 3_001, "currency": "CNY"}), paid(lease_used_minor=1)],
    ids=["nobody", "another amount", "from a lease"],
)
def test_an_approval_that_contradicts_the_question_is_none(till: Till, wrong: dict[str, Any]) -> None:
    async def story() -> dict[str, Any]:
        await shown(till)
        till.backend.known = wrong
        return await decided(till)

    assert run(story())["reason"] == "code_unanswered"


def test_a_lost_question_is_sent_again_as_it_was(till: Till) -> None:
    till.backend.answer, till.backend.known = None, AttemptUnknown()

    async def story() -> None:
        await till.counter.open_sale(order(SALE))
        till.counter.show_code(SALE, LENDER)
        await asyncio.sleep(1)
        assert "own_code" not in till.counter.view(SALE)
        till.backend.answer = PENDING
        await till.counter.wait(SALE, lambda view: "own_code" in view, 30)

    run(story())
    first, again = till.backend.requests
    assert first == again


@pytest.mark.parametrize(
    ("known", "state"),
    [(paid(), HoldState.CAPTURED), (declined("54", reason="code_expired"), HoldState.DECLINED)],
    ids=["paid meanwhile", "expired meanwhile"],
)
def test_a_lane_that_is_killed_while_it_shows_a_code_hears_after_its_start_what_became_of_it(
    till: Till, known: Any, state: HoldState
) -> None:
    async def killed() -> None:
        await shown(till)

    run(killed())
    till.restart()
    assert till.counter.view(SALE)["state"] == "asking"

    async def started() -> None:
        starting = asyncio.create_task(till.lane.start())
        await asyncio.sleep(5)
        assert not starting.done(), "who may still pay is waited for"
        till.backend.known = known
        await starting

    run(started())
    (hold,) = till.ledger.attempts(SALE)
    assert hold.state is state
    assert hold.account == (CUSTOMER if state is HoldState.CAPTURED else None)


def test_a_sale_that_is_repeated_after_the_kill_may_be_given_up_before_the_code_is_over(till: Till) -> None:
    async def killed() -> None:
        await shown(till)

    run(killed())
    till.restart()

    async def repeated() -> dict[str, Any]:
        selling = asyncio.create_task(till.counter.open_sale(order(SALE), till.phone().code()))
        view = await till.counter.wait(SALE, lambda view: "abandonment" in view.get("may", ()), 30)
        assert (view["state"], view["may"]) == ("asking", ["abandonment"])
        assert till.checkout.wallets.abandon(SALE)
        till.backend.answer = approved({"amount": AMOUNT.to_wire()})
        return await selling

    view = run(repeated())
    assert (view["state"], view["attempt"]) == ("approved", 2), "the code that the POS sent with it pays"


def test_a_sale_that_shows_its_code_takes_no_other_and_a_repeated_call_changes_nothing(till: Till) -> None:
    async def story() -> None:
        await shown(till)
        till.counter.scanned(b"hQVDUFYwMW", "gun")
        assert till.counter.show_code(SALE, LENDER)
        await asyncio.sleep(3)
        assert len(till.backend.requests) == 1 and till.counter.view(SALE)["state"] == "asking"
        till.backend.known = paid()
        await decided(till)
        assert not till.counter.show_code(SALE, LENDER), "it is over"
        assert not till.counter.show_code("sale-0002", LENDER), "nobody has opened it"

    run(story())


def test_a_code_speaks_of_no_instalments_and_needs_a_sign(till: Till) -> None:
    def refused(**fields: Any) -> str:
        async def story() -> str:
            await till.counter.open_sale(order(SALE, **fields))
            with pytest.raises(CodeNotShown) as caught:
                till.counter.show_code(SALE, LENDER)
            return caught.value.reason

        return run(story())

    assert refused(wish=Wish("3x")) == "plan_not_offered"
    till.settings["sign"] = None
    till.restart()
    assert refused() == "code_unset"
    assert "merchant-code" not in till.counter.view(SALE)["may"]


def test_the_strip_says_how_long_it_may_be_paid_and_that_it_is_no_receipt(till: Till) -> None:
    async def story() -> str:
        await shown(till)
        code = till.checkout.wallets.code_of(SALE)
        assert code is not None
        till.lane.slips.print_code(*code)
        job = till.ledger.next_print_job()
        assert job is not None and job.slip.sale_id is None
        assert job.slip.expires_at == till.lane.clock.read(LENDER).now_s + code[1]
        return to_text(job.slip.document, 42)

    strip = run(story())
    assert "30.00" in strip and "不是收据" in strip and "[QR: 000201" in strip


def test_a_customer_sees_the_code_and_no_account(till: Till) -> None:
    from agent.services.views import for_customer

    view = for_customer(run(shown(till)))
    assert view["own_code"]["left_s"] > 100 and "account" not in view
    assert view["texts"]["customer"] == text("zh-CN", "code_shown", "customer")
