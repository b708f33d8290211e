"""Sales that a wallet pays: online or not at all, waited for while the customer confirms, closed after any restart."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from agent.core.authorization import HoldState
from agent.errors import UplinkRefused, UplinkUnavailable
from agent.ports import AttemptUnknown
from agent.services.wallets import Patience
from agent.texts import LANGUAGES, text
from drivers.document import to_text
from tests.services.lanes import LENDER, PaperBackend, Till, approved, declined, order
from tests.uplink.world import run

RAIL = "wallet_alipay"
CODE, OTHER_CODE = "281234567890123456", "281234567890123457"
SALE = "sale-0001"
KEY = (RAIL, SALE, 1)
PENDING = declined("09", reason="wallet_pending", pending=True)
OVER = ("wallet_unreachable", "wallet_unanswered", "wallet_abandoned")


@pytest.fixture
def till(opened: Any) -> Till:
    till: Till = opened(ready=False)
    till.settings["rails"] = {RAIL: "Alipay"}
    till.restart()
    till.tell_time()
    till.backend.available = True
    return till


class Customer:
    """Confirms after so many questions; ``None`` among the answers is a lost one."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def __call__(self, request: Mapping[str, Any]) -> Any:
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return approved({"amount": {"minor": 3_000, "currency": "CNY"}}) if said == "pays" else said


def sell(till: Till, code: str = CODE, **fields: Any) -> Any:
    return run(till.checkout.sell(order(SALE, **fields), code))


def test_a_wallet_that_pays_at_once_is_an_online_sale_of_its_rail(till: Till) -> None:
    till.backend.answer = approved({"amount": {"minor": 3_000, "currency": "CNY"}})
    hold = sell(till)
    assert (hold.lender, hold.state, hold.mode, hold.response_code) == (RAIL, HoldState.CAPTURED, "online", "00")
    assert hold.account is None and hold.lease_minor == 0
    assert till.kinds(SALE) == ["online_intent", "online_outcome", "capture"]
    (request,) = till.backend.requests
    assert (request["lender"], request["wallet_code"], request["lease"]) == (RAIL, CODE, None)
    assert "pass" not in request


def test_the_code_is_in_the_question_only(till: Till) -> None:
    till.backend.answer = approved({"amount": {"minor": 3_000, "currency": "CNY"}})
    sell(till)
    assert all(CODE.encode() not in sealed.data for sealed in till.entries())
    assert all(CODE.encode() not in data for data in till.disk.after_kill().values())


def test_the_slip_names_the_wallet_and_no_account(till: Till) -> None:
    till.backend.answer = approved({"amount": {"minor": 3_000, "currency": "CNY"}})
    sell(till)
    (job,) = till.ledger.print_jobs(SALE)
    shown = to_text(job.slip.document, 42)
    assert "Alipay" in shown and "****" not in shown


def test_a_customer_who_confirms_is_asked_about_every_other_second(till: Till) -> None:
    till.backend.answer, till.backend.known = PENDING, Customer(PENDING, PENDING, "pays")

    async def timed() -> tuple[Any, float]:
        hold = await till.checkout.sell(order(SALE), CODE)
        return hold, asyncio.get_running_loop().time()

    hold, took_s = run(timed())
    assert hold.state is HoldState.CAPTURED
    assert till.backend.inquiries == [KEY] * 3 and took_s == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize("answer", [PENDING, None], ids=["pending", "no answer"])
def test_who_says_nothing_for_a_minute_is_declined(till: Till, answer: Any) -> None:
    till.backend.answer = till.backend.known = answer

    async def timed() -> tuple[Any, float]:
        hold = await till.checkout.sell(order(SALE), CODE)
        return hold, asyncio.get_running_loop().time()

    hold, took_s = run(timed())
    assert (hold.state, hold.reason, hold.response_code) == (HoldState.DECLINED, "wallet_unanswered", "68")
    assert took_s == pytest.approx(60, abs=2)
    assert till.kinds(SALE) == ["online_intent", "decline"]
    assert till.entries()[-1].entry.body["online_unknown"] is True


def test_a_lost_answer_is_asked_for_and_a_lost_question_is_sent_again_as_it_was(till: Till) -> None:
    till.backend.answer = Customer(None, PENDING)
    till.backend.known = Customer(AttemptUnknown(), UplinkUnavailable("down"), "pays")
    assert sell(till).state is HoldState.CAPTURED
    first, again = till.backend.requests
    assert first == again


@pytest.mark.parametrize("is_there", [False, True], ids=["known to be down", "found to be down"])
def test_without_a_line_it_is_declined_at_once_and_nothing_was_sent(till: Till, is_there: bool) -> None:
    till.backend.available, till.backend.answer = is_there, UplinkUnavailable("down")
    hold = sell(till)
    assert (hold.state, hold.reason, hold.response_code) == (HoldState.DECLINED, "wallet_online_only", "91")
    assert till.backend.inquiries == [] and till.entries()[-1].entry.body["online_unknown"] is False


def test_a_backend_that_refuses_the_question_ends_it(till: Till) -> None:
    till.backend.answer = UplinkRefused("recovering")
    assert sell(till).reason == "wallet_unreachable"


@pytest.mark.parametrize("answer", [declined("51", reason="wallet_declined"), declined("94", reason="tombstoned")])
def test_the_wallets_no_is_the_outcome(till: Till, answer: Any) -> None:
    till.backend.answer = answer
    hold = sell(till)
    assert (hold.state, hold.reason) == (HoldState.DECLINED, answer["reason"])


def test_an_approval_of_another_amount_is_no_answer(till: Till) -> None:
    till.backend.answer = approved({"amount": {"minor": 3_001, "currency": "CNY"}})
    hold = sell(till)
    assert (hold.state, hold.reason) == (HoldState.DECLINED, "wallet_unanswered")


def test_the_cashier_may_give_up(till: Till) -> None:
    till.backend.answer = till.backend.known = PENDING

    async def given_up() -> Any:
        heard = till.lane.events.subscribe()
        sale = asyncio.create_task(till.counter.open_sale(order(SALE), CODE))
        await asyncio.sleep(5)
        assert till.counter.view(SALE)["texts"]["cashier"] == text("zh-CN", "wallet_pending", "cashier")
        assert [event["data"]["said"] for event in iter(heard.get_nowait, None)] == ["asking", "wallet_pending"]
        assert not till.checkout.wallets.abandon("sale-0002")
        assert till.checkout.wallets.abandon(SALE)
        view = await sale
        assert not till.checkout.wallets.abandon(SALE)
        return view, asyncio.get_running_loop().time()

    view, took_s = run(given_up())
    assert (view["state"], view["reason"]) == ("declined", "wallet_abandoned") and took_s < 6
    assert "account" not in view or view["account"] is None


def test_giving_up_too_late_is_a_sale(till: Till) -> None:
    till.backend.answer, till.backend.known = PENDING, Customer(PENDING, "pays")

    async def late() -> Any:
        sale = asyncio.create_task(till.checkout.sell(order(SALE), CODE))
        await asyncio.sleep(3)
        till.checkout.wallets.abandon(SALE)
        return await sale

    assert run(late()).state is HoldState.CAPTURED


def test_after_a_decline_another_code_is_a_new_attempt_and_the_same_code_the_same_answer(till: Till) -> None:
    till.backend.answer = declined("51", reason="wallet_declined")
    first = sell(till)
    assert sell(till) == first
    till.backend.answer = approved({"amount": {"minor": 3_000, "currency": "CNY"}})
    second = sell(till, OTHER_CODE)
    assert (second.attempt, second.state) == (2, HoldState.CAPTURED)


def test_a_sale_for_later_is_reversed_at_the_wallet_by_its_journal(till: Till) -> None:
    till.backend.answer = approved({"amount": {"minor": 3_000, "currency": "CNY"}})
    assert sell(till, capture="later").state is HoldState.AUTHORIZED
    reversed_hold = run(till.lane.holds.reverse(SALE, "customer"))
    assert reversed_hold is not None and reversed_hold.state is HoldState.REVERSED
    assert (till.entries()[-1].entry.kind, till.entries()[-1].entry.lender) == ("reversal", RAIL)


# -- restarts ------------------------------------------------------------------------------------------------------


def interrupted(till: Till, known: Any) -> Till:
    """The lane is killed while its customer confirms; what the backend says from then on."""
    till.backend.answer = till.backend.known = PENDING

    async def cut() -> None:
        sale = asyncio.create_task(till.checkout.sell(order(SALE), CODE))
        await asyncio.sleep(3)
        till.kill()
        sale.cancel()

    run(cut())
    till.start()
    till.backend.known = known
    return till


def start(till: Till) -> float:
    """Start the lane; when it has nothing open any more."""

    async def started() -> float:
        await till.lane.start()
        return asyncio.get_running_loop().time()

    return run(started())


@pytest.mark.parametrize(
    ("known", "state", "reason"),
    [
        ("pays", HoldState.CAPTURED, "approved"),
        (declined("51", reason="wallet_declined"), HoldState.DECLINED, "wallet_declined"),
        (None, HoldState.DECLINED, "wallet_unanswered"),
        (AttemptUnknown(), HoldState.DECLINED, "wallet_unanswered"),
        (UplinkUnavailable("down"), HoldState.DECLINED, "wallet_unanswered"),
    ],
)
def test_an_open_payment_is_asked_about_after_a_restart(till: Till, known: Any, state: str, reason: str) -> None:
    start(interrupted(till, Customer(known)))
    (hold,) = till.ledger.attempts(SALE)
    assert (hold.state, hold.reason) == (state, reason)


def test_after_a_restart_a_pending_payment_is_asked_about_until_the_time_is_over(till: Till) -> None:
    took_s = start(interrupted(till, PENDING))
    (hold,) = till.ledger.attempts(SALE)
    assert (hold.state, hold.reason) == (HoldState.DECLINED, "wallet_unanswered")
    assert took_s == pytest.approx(60, abs=2)


def test_while_a_restarted_lane_waits_for_a_wallet_others_are_served(till: Till) -> None:
    interrupted(till, Customer(PENDING, PENDING, PENDING, "pays"))
    till.backend.answer = approved({"amount": {"minor": 3_000, "currency": "CNY"}})

    async def served() -> float:
        starting = asyncio.create_task(till.lane.start())
        await asyncio.sleep(1)
        other = await till.checkout.sell(order("sale-0002"), OTHER_CODE)
        assert other.state is HoldState.CAPTURED
        took_s = asyncio.get_running_loop().time()
        await starting
        return took_s

    assert run(served()) < 2
    assert till.ledger.attempts(SALE)[0].state is HoldState.CAPTURED


def test_a_sale_that_is_asked_for_again_after_a_restart_gets_the_payment_that_was_open(till: Till) -> None:
    interrupted(till, Customer(PENDING, PENDING, "pays"))
    assert sell(till).state is HoldState.CAPTURED
    assert len(till.ledger.attempts(SALE)) == 1


# -- the day, and what is said ------------------------------------------------------------------------------------


def test_the_day_of_a_wallet_is_closed_apart_from_the_lenders(till: Till) -> None:
    till.backend.answer = approved({"amount": {"minor": 3_000, "currency": "CNY"}})
    sell(till)
    report = run(till.lane.settlement.close_day(RAIL))
    assert report is not None and report.state == "matched"
    assert report.totals["captured"] == {"count": 1, "minor": 3_000}
    lenders = run(till.lane.settlement.close_day(LENDER))
    assert lenders is None or lenders.totals["captured"]["count"] == 0


def test_a_wallet_that_the_backend_does_not_serve_is_declined_at_sight(till: Till) -> None:
    hold = sell(till, "131234567890123456")
    assert (hold.lender, hold.reason, hold.response_code) == (LENDER, "wallet_not_served", "57")
    assert till.backend.requests == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", OVER)
def test_who_may_have_paid_reads_that_it_is_given_back(language: Any, reason: str) -> None:
    assert ("given back" if language == "en" else "退回") in text(language, reason, "customer")


def test_the_settings_of_patience_are_kept(till: Till) -> None:
    till.settings["patience"] = Patience(poll_s=5, wait_max_s=20)
    till.restart()
    till.backend.answer = till.backend.known = PENDING
    assert isinstance(till.backend, PaperBackend)
    assert sell(till).reason == "wallet_unanswered"
    assert len(till.backend.inquiries) == 4
