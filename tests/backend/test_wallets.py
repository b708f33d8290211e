"""Sales by wallet, at the backend: paid, pending, declined and given back, on both kinds of books."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from agent.core import journal
from agent.core.journal import Draft, Head
from backend import payments
from backend.schema import Account, Dispute, Posting, SandboxPayment
from tests.backend.conftest import Call
from tests.backend.lanes import Shop

RAIL = "wallet_alipay"
AMOUNT = 12_800
PATH = "/v1/authorizations"


def code(last: int) -> str:
    return f"28123456789012345{last}"


class Till:
    """A lane at the backend's HTTP API: its wallet sales, as question and as journal entries."""

    def __init__(self, shop: Shop, call: Call) -> None:
        self.shop, self.call, self.lane = shop, call, shop.lanes["A"]

    def body(self, sale_id: str, last: int = 0, **more: Any) -> dict[str, Any]:
        return {
            "lender": RAIL,
            "sale_id": sale_id,
            "attempt": 1,
            "epoch": 1,
            "intent_number": 1,
            "amount": {"minor": AMOUNT, "currency": "CNY"},
            "wallet_code": code(last),
            "scanned_at": "2027-01-15T08:00:00Z",
            "category": "5411",
            "capture": "at_once",
            "lease": None,
        } | more

    def post(self, body: dict[str, Any]) -> httpx.Response:
        key = f"{body['lender']}/A/{body['sale_id']}/{body['attempt']}"
        return self.call("POST", PATH, body, idempotency_key=key)

    def ask(self, sale_id: str, last: int = 0) -> dict[str, Any]:
        answer = self.post(self.body(sale_id, last))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def inquire(self, sale_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"{PATH}/{RAIL}/{sale_id}/1").json())

    def write(self, kind: str, sale_id: str, **body: Any) -> list[str]:
        """Journal an entry and send it; what became of it."""
        lane, now_s = self.lane, self.shop.clock.now_s
        fields = {"amount_minor": AMOUNT, "currency": "CNY", "account": None, "cti": None} | body
        draft = Draft(kind, fields, RAIL, sale_id, 1)
        sealed = journal.seal(draft, lane.head, recorded_at=now_s, clock=(True, 0), lease_horizon=now_s)
        lane.head = journal.advance(lane.head, sealed)
        lane.entries.append(sealed)
        return lane.upload()

    def sell(self, sale_id: str) -> list[str]:
        """A whole sale that the wallet pays at once; results of its entries."""
        self.write("online_intent", sale_id)
        self.ask(sale_id)
        outcome = self.write("online_outcome", sale_id, approved=True, response_code="00", reason="approved")
        return outcome + self.write("capture", sale_id)

    def tend(self) -> int:
        return asyncio.run(self.shop.backend.wallets.tend())

    def returned(self, sale_id: str) -> int:
        return int(SandboxPayment.get(SandboxPayment.sale_id == sale_id).returned_minor)


@pytest.fixture
def till(shop: Shop, call: Call) -> Till:
    return Till(shop, call)


def test_a_wallet_pays_at_once_and_no_account_has_part_in_it(till: Till) -> None:
    before = [shop_row.__data__ for shop_row in Account.select()]
    answer = till.ask("wallet-sale-1")
    assert (answer["approved"], answer["response_code"], answer["pending"]) == (True, "00", False)
    assert answer["amount"] == {"minor": AMOUNT, "currency": "CNY"} and len(answer["authorization_code"]) == 6
    assert till.sell("wallet-sale-2") == ["accepted", "accepted"]
    assert [row.__data__ for row in Account.select()] == before
    assert Posting.select().count() == 0


@pytest.mark.parametrize(
    ("last", "response_code", "reason"), [(8, "51", "wallet_declined"), (9, "91", "wallet_unreachable")]
)
def test_a_wallet_or_its_rail_declines(till: Till, last: int, response_code: str, reason: str) -> None:
    answer = till.ask("wallet-sale-1", last)
    assert (answer["approved"], answer["response_code"], answer["reason"]) == (False, response_code, reason)
    assert till.inquire("wallet-sale-1") == answer


def test_what_an_unreachable_rail_may_have_taken_is_given_back(till: Till) -> None:
    till.ask("wallet-sale-1", 9)
    assert till.tend() == 1
    assert payments.owed() == []


def test_a_customer_who_enters_a_password_is_waited_for(till: Till) -> None:
    answer = till.ask("wallet-sale-1", 6)
    assert (answer["approved"], answer["response_code"], answer["reason"]) == (False, "09", "wallet_pending")
    assert answer["pending"] is True and till.inquire("wallet-sale-1") == answer
    till.shop.clock.now_s += 6
    paid = till.inquire("wallet-sale-1")
    assert (paid["approved"], paid["pending"]) == (True, False)
    assert till.inquire("wallet-sale-1") == paid == till.ask("wallet-sale-1", 6), "one answer, once it is final"


def test_the_same_attempt_is_charged_once_and_another_body_is_a_conflict(till: Till) -> None:
    assert till.ask("wallet-sale-1") == till.ask("wallet-sale-1")
    assert SandboxPayment.select().count() == 1
    other = till.post(till.body("wallet-sale-1", amount={"minor": 1, "currency": "CNY"}))
    assert (other.status_code, other.json()["type"]) == (409, "urn:counterfoil:problem:idempotency_conflict")


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"pass": "hQVDUFYwMQ"}, 400),
        ({"wallet_code": None}, 400),
        ({"wallet_code": "1" * 15}, 400),
        ({"wallet_code": "1" * 25}, 400),
        ({"lender": "wallet_other"}, 404),
        ({"lender": "demo"}, 404),
        ({"epoch": 2}, 409),
    ],
)
def test_a_question_shows_one_code_to_a_rail_that_is_served(till: Till, more: dict[str, Any], status: int) -> None:
    assert till.post(till.body("wallet-sale-1", **more)).status_code == status
    assert SandboxPayment.select().count() == 0


def test_another_currency_than_the_rails_is_declined(till: Till) -> None:
    answer = till.post(till.body("wallet-sale-1", amount={"minor": 1, "currency": "EUR"})).json()
    assert (answer["response_code"], answer["reason"]) == ("13", "currency_mismatch")
    assert SandboxPayment.select().count() == 0


@pytest.mark.parametrize("last", [0, 6, 7])
def test_a_decline_in_the_journal_gives_back_whatever_the_wallet_paid(till: Till, last: int) -> None:
    till.write("online_intent", "wallet-sale-1")
    till.ask("wallet-sale-1", last)
    assert till.write("decline", "wallet-sale-1", response_code="68", reason="wallet_unanswered") == ["accepted"]
    assert till.inquire("wallet-sale-1")["reason"] == "tombstoned"
    assert (till.tend(), till.tend()) == (1, 0)
    till.shop.clock.now_s += 60
    assert till.returned("wallet-sale-1") == AMOUNT
    assert till.inquire("wallet-sale-1")["approved"] is False


def test_a_question_after_the_lanes_decision_charges_nobody(till: Till) -> None:
    till.write("decline", "wallet-sale-1", response_code="68", reason="wallet_unanswered")
    answer = till.ask("wallet-sale-1")
    assert (answer["approved"], answer["response_code"], answer["reason"]) == (False, "94", "tombstoned")
    assert SandboxPayment.select().count() == 0


def test_a_reversal_gives_the_payment_back(till: Till) -> None:
    till.write("online_intent", "wallet-sale-1")
    till.ask("wallet-sale-1")
    till.write("online_outcome", "wallet-sale-1", approved=True, response_code="00", reason="approved")
    assert till.tend() == 0 and till.returned("wallet-sale-1") == 0
    assert till.write("reversal", "wallet-sale-1", reason="customer") == ["accepted"]
    assert till.tend() == 1 and till.returned("wallet-sale-1") == AMOUNT


def test_a_duty_waits_until_the_rail_can_be_reached_again(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    till.write("online_intent", "wallet-sale-1")
    till.ask("wallet-sale-1")
    till.write("decline", "wallet-sale-1", response_code="68", reason="wallet_unanswered")
    with monkeypatch.context() as broken:
        from backend.rails.rail import RailUnreachable

        async def unreachable(_key: object) -> None:
            raise RailUnreachable("down")

        broken.setattr(till.shop.backend.rails[RAIL], "cancel", unreachable)
        assert till.tend() == 0 and len(payments.owed()) == 1
    assert till.tend() == 1 and till.returned("wallet-sale-1") == AMOUNT


@pytest.mark.parametrize("kind", ["online_outcome", "authorization"])
def test_an_approval_that_no_wallet_paid_is_disputed_and_the_merchants(till: Till, kind: str) -> None:
    said = till.write(kind, "wallet-sale-1", approved=True, response_code="00", reason="approved")
    assert said == ["disputed:wallet_not_paid"]
    assert Dispute.get().bearer == "merchant"


def test_a_decline_while_the_rail_is_being_asked_wins(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    rail: Any = till.shop.backend.rails[RAIL]
    charge = rail.charge

    async def slow(*args: Any) -> Any:
        till.write("decline", "wallet-sale-1", response_code="68", reason="wallet_unanswered")
        await till.shop.backend.wallets.tend()  # too early: the rail has not heard of the charge
        SandboxPayment.delete().execute()
        return await charge(*args)

    monkeypatch.setattr(rail, "charge", slow)
    assert till.ask("wallet-sale-1")["reason"] == "tombstoned"
    assert till.tend() == 1 and till.returned("wallet-sale-1") == AMOUNT


def test_the_day_of_a_rail_is_settled_like_a_lenders(till: Till) -> None:
    for number in range(3):
        till.sell(f"wallet-sale-{number}")
    lane, head = till.lane, till.lane.head
    from backend.wire import b64url

    zero, total = {"count": 0, "minor": 0}, {"count": 3, "minor": 3 * AMOUNT}
    totals = dict.fromkeys(("declined", "reversed", "stand_in"), zero) | dict.fromkeys(("approved", "captured"), total)
    batch = {"lender": RAIL, "epoch": 1, "batch": 1, "first_number": 1, "last_number": head.number}
    assert isinstance(head, Head) and lane.sent == head.number
    said = till.call("POST", "/v1/settlements", batch | {"chain_head": b64url(head.hash), "totals": totals}).json()
    assert (said["matched"], said["differences"]) == (True, [])
    assert said["merchant_fee"] == {"minor": 146, "currency": "CNY"}  # 0.38 % of 384.00
    assert said["net_payout"] == {"minor": 3 * AMOUNT - 146, "currency": "CNY"}


def test_the_wallet_code_is_kept_nowhere(till: Till) -> None:
    till.ask("wallet-sale-1", 6)
    for table in till.shop.backend.database.get_tables():
        rows = till.shop.backend.database.execute_sql(f'SELECT * FROM "{table}"').fetchall()
        assert code(6) not in json.dumps([[str(value) for value in row] for row in rows])
