"""Codes that a lane shows: paid once, as they were shown, in time, under the account's limit, and given back where the
lane has decided otherwise; on both kinds of books."""

import json
from typing import Any

import httpx
import pytest

from agent.core import journal
from agent.core.journal import Draft
from agent.core.merchant_code import Payee, merchant_code, reference_of, signed_off
from agent.core.money import Money
from backend.schema import Dispute
from backend.shown_codes import CodeRefused
from tests.backend.conftest import Call
from tests.backend.lanes import LENDER, Shop

AMOUNT = 12_800
VALID_S = 120
SALE = "sale-0001"
PATH = "/v1/authorizations"
PAYEE = Payee(LENDER, "merchant-1", "5411", "CN", "Example Market", "Shanghai", "zh", "示例超市")


def text_of(sale_id: str = SALE, attempt: int = 1, amount_minor: int = AMOUNT, payee: Payee = PAYEE) -> str:
    reference = reference_of("A", sale_id, attempt)
    return merchant_code(payee, store="s1", lane="A", reference=reference, amount=Money(amount_minor, "CNY"))


class Till:
    """Lane A at the backend's HTTP API, and the phones of its customers."""

    def __init__(self, shop: Shop, call: Call) -> None:
        self.shop, self.call, self.lane = shop, call, shop.lanes["A"]

    def body(self, sale_id: str = SALE, attempt: int = 1, **more: Any) -> dict[str, Any]:
        return {
            "lender": LENDER,
            "sale_id": sale_id,
            "attempt": attempt,
            "epoch": 1,
            "intent_number": 1,
            "amount": {"minor": AMOUNT, "currency": "CNY"},
            "merchant_code": {"text": text_of(sale_id, attempt), "valid_s": VALID_S},
            "scanned_at": "2027-01-15T08:00:00Z",
            "category": "5411",
            "capture": "at_once",
        } | more

    def post(self, body: dict[str, Any]) -> httpx.Response:
        key = f"{body['lender']}/A/{body['sale_id']}/{body['attempt']}"
        return self.call("POST", PATH, body, idempotency_key=key)

    def show(self, sale_id: str = SALE, attempt: int = 1) -> dict[str, Any]:
        """Journal the intent, register the code; how it stands."""
        self.write("online_intent", sale_id, attempt)
        answer = self.post(self.body(sale_id, attempt))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def inquire(self, sale_id: str = SALE, attempt: int = 1) -> dict[str, Any]:
        return dict(self.call("GET", f"{PATH}/{LENDER}/{sale_id}/{attempt}").json())

    def pay(self, text: str | None = None, phone: int = 0) -> dict[str, Any]:
        account = self.shop.phones[phone].account
        return dict(json.loads(self.shop.backend.pay_code(text or text_of(), LENDER, account)))

    def write(self, kind: str, sale_id: str = SALE, attempt: int = 1, **body: Any) -> list[str]:
        """Journal an entry and send it; what became of it."""
        lane, now_s = self.lane, self.shop.clock.now_s
        fields = {"amount_minor": AMOUNT, "currency": "CNY", "account": None, "cti": None} | body
        draft = Draft(kind, fields, LENDER, sale_id, attempt)
        sealed = journal.seal(draft, lane.head, recorded_at=now_s, clock=(True, 0), lease_horizon=now_s)
        lane.head = journal.advance(lane.head, sealed)
        lane.entries.append(sealed)
        return lane.upload()

    def conclude(self, answer: dict[str, Any], sale_id: str = SALE) -> list[str]:
        """The lane's outcome and capture of an approval, as it journals them."""
        said = {name: answer[name] for name in ("approved", "response_code", "reason", "authorization_code")}
        outcome = self.write("online_outcome", sale_id, account=bytes.fromhex(answer["account"]), **said)
        return outcome + self.write("capture", sale_id)

    def money(self, phone: int = 0) -> tuple[int, int]:
        """What the account of a phone has held, and owes."""
        state = self.shop.account(self.shop.phones[phone].account)
        return state.held_minor, state.used_minor


@pytest.fixture
def till(shop: Shop, call: Call) -> Till:
    return Till(shop, call)


def refused(till: Till, text: str | None = None, phone: int = 0) -> str:
    with pytest.raises(CodeRefused) as caught:
        till.pay(text, phone)
    return caught.value.reason


def test_a_shown_code_is_pending_until_somebody_pays_and_then_an_online_sale_like_any_other(till: Till) -> None:
    shown = till.show()
    assert (shown["pending"], shown["approved"], shown["response_code"], shown["reason"]) == (
        True, False, "09", "code_shown",
    )  # fmt: skip
    assert till.inquire() == shown and till.post(till.body()).json() == shown
    paid = till.pay()
    assert till.inquire() == paid == till.post(till.body()).json()
    assert (paid["approved"], paid["amount"]["minor"]) == (True, AMOUNT)
    assert paid["account"] == till.shop.token.hex() and "pending" not in paid
    assert till.money() == (AMOUNT, 0)
    assert till.conclude(paid) == ["accepted", "accepted"]
    assert till.money() == (0, AMOUNT)
    assert till.write("refund", amount_minor=800, request="r1", reason="x") == ["accepted"]
    assert till.money() == (0, AMOUNT - 800)


@pytest.mark.parametrize("undoing", ["reversal", "void"])
def test_what_was_paid_is_given_back_with_the_sale(till: Till, undoing: str) -> None:
    till.show()
    paid = till.pay()
    if undoing == "void":
        till.conclude(paid)
    else:
        said = {name: paid[name] for name in ("approved", "response_code", "reason", "authorization_code")}
        till.write("online_outcome", account=till.shop.token, capture="later", **said)
    assert till.write(undoing, reason="customer") == ["accepted"]
    assert till.money() == (0, 0)
    assert refused(till) == "code_over", "the app that asks again hears that nothing is paid"


def test_two_phones_pay_once(till: Till) -> None:
    till.show()
    first = till.pay(phone=0)
    assert refused(till, phone=1) == "code_over"
    assert till.pay(phone=0) == first, "the same app may ask again"
    assert (till.money(0), till.money(1)) == ((AMOUNT, 0), (0, 0))


def test_an_account_pays_no_more_than_it_has_and_another_may_try(till: Till) -> None:
    amount_minor = 60_000  # the second phone has 50,000, less what is leased
    text = text_of(amount_minor=amount_minor)
    more = {"amount": {"minor": amount_minor, "currency": "CNY"}, "merchant_code": {"text": text, "valid_s": VALID_S}}
    assert till.post(till.body(**more)).json()["pending"]
    assert refused(till, text, phone=1) == "limit_exceeded"
    assert till.pay(text, phone=0)["approved"]


def test_a_code_is_paid_in_time_or_not_at_all(till: Till) -> None:
    till.show()
    till.shop.clock.now_s += VALID_S
    assert refused(till) == "code_expired"
    over = till.inquire()
    assert (over["approved"], over["response_code"], over["reason"]) == (False, "54", "code_expired")
    assert "pending" not in over and till.inquire() == over
    assert refused(till) == "code_over" and till.money() == (0, 0)


def test_whoever_changes_the_amount_pays_nothing(till: Till) -> None:
    till.show()
    cheaper = text_of(amount_minor=1)
    assert refused(till, cheaper) == "code_changed"
    assert refused(till, text_of().replace("128.00", "001.00")) == "code_malformed"
    assert refused(till, signed_off(text_of()[:-8].replace("128.00", "001.00"))) == "code_malformed"
    assert refused(till, text_of("sale-0002")) == "code_unknown"
    assert refused(till, "https://example.com/") == "code_malformed"


@pytest.mark.parametrize("is_paid", [False, True], ids=["before it is paid", "after it was paid"])
def test_what_the_lane_gave_up_is_not_paid_or_given_back(till: Till, is_paid: bool) -> None:
    till.show()
    if is_paid:
        till.pay()
    assert till.write("decline", response_code="17", reason="code_abandoned") == ["accepted"]
    assert till.money() == (0, 0)
    assert refused(till) == "code_over" and refused(till, phone=1) == "code_over"
    assert till.money() == (0, 0)


def test_a_new_attempt_has_a_code_of_its_own(till: Till) -> None:
    till.show()
    till.write("decline", response_code="17", reason="code_abandoned")
    till.show(attempt=2)
    assert refused(till, text_of()) == "code_over"
    assert till.pay(text_of(attempt=2))["approved"] and till.money() == (AMOUNT, 0)


def test_a_sale_that_another_attempt_has_paid_is_not_paid_by_the_code_of_before(till: Till) -> None:
    till.show()
    till.show(attempt=2)
    assert till.pay(text_of(attempt=2))["approved"]
    assert refused(till, text_of(), phone=1) == "code_over"
    assert (till.money(0), till.money(1)) == ((AMOUNT, 0), (0, 0))


def test_a_request_after_the_lanes_decision_is_declined(till: Till) -> None:
    till.write("online_intent")
    till.write("decline", response_code="17", reason="code_abandoned")
    answer = till.post(till.body()).json()
    assert (answer["approved"], answer["response_code"]) == (False, "94")
    assert refused(till) == "code_unknown"


def test_an_outcome_that_nobody_paid_is_disputed(till: Till) -> None:
    till.show()
    claimed = {"approved": True, "response_code": "00", "reason": "approved", "authorization_code": "123456"}
    assert till.conclude(claimed | {"account": till.shop.token.hex()})[0] == "disputed:online_not_answered"
    assert till.money() == (0, 0)


def test_the_payer_that_the_journal_names_is_the_one_who_pays(till: Till) -> None:
    till.show()
    paid = till.pay(phone=0)
    wrong = paid | {"account": till.shop.phones[1].account.hex()}
    assert till.conclude(wrong)[0] == "disputed:online_not_answered"
    assert (till.money(0), till.money(1)) == ((0, 0), (0, 0))
    assert Dispute.select().count() == 1


def test_the_account_must_be_good_and_the_lenders_rules_are_asked(till: Till) -> None:
    till.show()
    with pytest.raises(CodeRefused, match="no such account"):
        till.shop.backend.pay_code(text_of(), LENDER, bytes(16))
    text, category = text_of("sale-0002"), {"category": "6211"}
    till.post(till.body("sale-0002", **category))
    assert refused(till, text) == "category_excluded"


@pytest.mark.parametrize(
    "more",
    [
        {"merchant_code": {"text": text_of("sale-0002"), "valid_s": VALID_S}},
        {"merchant_code": {"text": text_of(attempt=2), "valid_s": VALID_S}},
        {"merchant_code": {"text": text_of(amount_minor=1), "valid_s": VALID_S}},
        {"merchant_code": {"text": text_of()[:-1] + "0", "valid_s": VALID_S}},
        {"merchant_code": {"text": text_of(), "valid_s": 0}},
        {"merchant_code": {"text": text_of(), "valid_s": 601}},
        {"pass": "x"},
        {"wallet_code": "2812345678901234"},
        {"lease": {"epoch": 1, "debit_minor": 100}},
    ],
    ids=["sale", "attempt", "amount", "checksum", "too short", "too long", "with a pass", "with a wallet", "lease"],
)
def test_a_code_of_anything_else_is_refused(till: Till, more: dict[str, Any]) -> None:
    answer = till.post(till.body(**more))
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:counterfoil:problem:malformed")
    assert till.call("GET", f"{PATH}/{LENDER}/{SALE}/1").status_code == 404


def test_a_code_for_another_merchants_account_is_refused(till: Till) -> None:
    other = text_of(payee=Payee(LENDER, "merchant-2", "5411", "CN", "X", "Y"))
    assert till.post(till.body(merchant_code={"text": other, "valid_s": VALID_S})).status_code == 400


def test_another_body_under_the_same_key_is_a_conflict(till: Till) -> None:
    till.show()
    answer = till.post(till.body(category="5912"))
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:counterfoil:problem:idempotency_conflict")


def test_the_lane_that_listens_is_told_who_has_paid(till: Till) -> None:
    def told() -> list[dict[str, Any]]:
        events = till.call("GET", "/v1/events").json()["events"]
        return [event["data"] for event in events if event["type"] == "authorization"]

    till.show()
    assert told() == []
    till.pay()
    assert told() == [{"lender": LENDER, "sale_id": SALE, "attempt": 1}]
    till.conclude(till.inquire())
    till.show("sale-0002")
    till.pay(text_of("sale-0002"))
    assert told() == [{"lender": LENDER, "sale_id": "sale-0002", "attempt": 1}]


def test_a_device_that_lost_its_place_is_paid_no_more(till: Till) -> None:
    from backend import lanes

    till.show()
    lanes.set_state("A", 1, lanes.QUARANTINED)
    assert refused(till) == "code_over" and till.money() == (0, 0)
