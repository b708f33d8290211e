"""The local API over a real Unix socket with the real client: every answer is JSON, and every refusal says why."""

import asyncio
import http.client
import json
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.core.receipt import slip_code
from agent.errors import AgentNotRunning, LedgerUnavailable
from agent.local.client import LocalClient, RequestRefused
from agent.local.requests import BODY_BYTES_MAX
from agent.services.wallets import Patience
from tests.local.served import ServedLane
from tests.services.lanes import LENDER, Till, approved, declined

AMOUNT = {"minor": 3_000, "currency": "CNY"}


@pytest.fixture
def pos(till: Till) -> ServedLane:
    return ServedLane(till)


def problem(ask: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(RequestRefused) as refused:
        ask()
    return refused.value.problem["status"], refused.value.problem["title"]


def test_a_sale_with_its_code_is_answered_at_once_and_again_the_same(pos: ServedLane) -> None:
    code = pos.till.phone().code()

    def story(client: LocalClient) -> None:
        body = {"sale_id": "sale-0001", "amount": AMOUNT, "code": code}
        first = client.post("/v1/sales", body)
        assert (first["state"], first["mode"], first["amount"]) == ("approved", "stand_in", AMOUNT)
        assert client.post("/v1/sales", body) == first
        assert client.get("/v1/sales/sale-0001") == first

    pos.tell(story)
    assert len(pos.till.ledger.attempts("sale-0001")) == 1


def test_a_sale_waits_for_a_scan_and_the_pos_waits_for_the_answer(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        opened = client.post("/v1/sales", {"amount": AMOUNT, "capture": "later"})
        assert (opened["sale_id"], opened["state"]) == ("0190-new-sale", "waiting")
        assert client.get("/v1/sales/0190-new-sale?wait_s=0.05")["state"] == "waiting"
        pos.scan(pos.till.phone().code(age_s=600))
        assert client.get("/v1/sales/0190-new-sale?wait_s=4")["state"] == "declined"
        pos.scan(pos.till.phone().code())
        view = client.get("/v1/sales/0190-new-sale?wait_s=4&after_attempt=1")
        assert (view["state"], view["attempt"], view["hold"]) == ("approved", 2, "authorized")
        assert client.post("/v1/sales/0190-new-sale/capture")["hold"] == "captured"

    pos.tell(story)


def test_a_wait_ends_at_once_when_the_ledger_cannot_record(pos: ServedLane) -> None:
    ledger: Any = pos.till.ledger

    def full(*_: Any, **__: Any) -> None:
        raise LedgerUnavailable("the disk is full")

    def story(client: LocalClient) -> None:
        client.post("/v1/sales", {"sale_id": "sale-0001", "amount": AMOUNT})
        ledger.record = full
        pos.scan(pos.till.phone().code())
        view = client.get("/v1/sales/sale-0001?wait_s=4")
        assert (view["state"], view["reason"]) == ("unknown", "ledger_unavailable")
        body = {"sale_id": "sale-0002", "amount": AMOUNT, "code": pos.till.phone().code()}
        assert problem(lambda: client.post("/v1/sales", body)) == (503, "ledger_unavailable")

    pos.tell(story)


def test_a_wallets_sale_is_given_up_and_its_day_closed_by_the_rails_name(pos: ServedLane) -> None:
    pos.till.settings |= {"rails": {"wallet_alipay": "Alipay"}, "patience": Patience(poll_s=0.05, wait_max_s=4)}
    pos.till.restart()
    pos.till.backend.available = True
    pos.till.backend.answer = pos.till.backend.known = declined("09", reason="wallet_pending", pending=True)

    def story(client: LocalClient) -> None:
        assert problem(lambda: client.post("/v1/sales/sale-0001/abandonment")) == (409, "sale_not_waiting")
        client.post("/v1/sales", {"sale_id": "sale-0001", "amount": AMOUNT})
        pos.scan("281234567890123456")
        pos.given_up(client, "sale-0001")
        assert client.get("/v1/sales/sale-0001?wait_s=3")["reason"] == "wallet_abandoned"
        pos.till.backend.available = False  # or the close would wait for an upload that nobody makes here
        report = client.post("/v1/settlements", {"lender": "wallet_alipay"})
        assert (report["state"], report["totals"]["declined"]["count"]) == ("pending", 1)
        assert problem(lambda: client.post("/v1/settlements", {"lender": "wallet_wechat"})) == (404, "lender_unknown")
        (wallet,) = client.get("/v1/status")["wallets"]
        assert (wallet["name"], wallet["batch"]["batch"]) == ("Alipay", 2)

    pos.tell(story, wallets={"wallet_alipay": "Alipay"})


def test_a_capture_or_a_reversal_that_did_not_happen_is_never_answered_as_if_it_had(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        sell = {"amount": AMOUNT, "capture": "later"}
        client.post("/v1/sales", {"sale_id": "sale-0001", "code": pos.till.phone().code(), **sell})
        assert client.post("/v1/sales/sale-0001/reversal")["state"] == "reversed"
        assert client.post("/v1/sales/sale-0001/reversal")["state"] == "reversed"
        assert problem(lambda: client.post("/v1/sales/sale-0001/capture")) == (409, "sale_reversed")
        client.post("/v1/sales", {"sale_id": "sale-0002", "amount": AMOUNT, "code": pos.till.phone().code()})
        assert problem(lambda: client.post("/v1/sales/sale-0002/reversal")) == (409, "sale_captured")
        assert problem(lambda: client.post("/v1/sales/sale-0003/reversal")) == (404, "sale_unknown")
        assert problem(lambda: client.post("/v1/sales/sale-0003/capture")) == (404, "sale_unknown")

    pos.tell(story)


def test_an_unknown_sale_is_unknown_and_a_known_one_with_other_content_a_conflict(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        assert problem(lambda: client.get("/v1/sales/sale-0001")) == (404, "sale_unknown")
        client.post("/v1/sales", {"sale_id": "sale-0001", "amount": AMOUNT, "code": pos.till.phone().code()})
        for change in ({"amount": {"minor": 1, "currency": "CNY"}}, {"category": "5732"}, {"capture": "later"}):
            body = {"sale_id": "sale-0001", "amount": AMOUNT, "code": pos.till.phone().code()} | change
            assert problem(lambda body=body: client.post("/v1/sales", body)) == (409, "idempotency_conflict")

    pos.tell(story)


def test_a_conflict_of_requests_says_what_a_new_id_is_needed_for(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        client.post("/v1/sales", {"sale_id": "sale-0001", "amount": AMOUNT, "code": pos.till.phone().code()})
        client.post("/v1/sales/sale-0001/refund", {"request_id": "r-1", "amount_minor": 100})
        with pytest.raises(RequestRefused) as refused:
            client.post("/v1/sales/sale-0001/refund", {"request_id": "r-1", "amount_minor": 200})
        assert refused.value.problem["title"] == "idempotency_conflict" and "request id" in str(refused.value.hint)

    pos.tell(story)


MALFORMED = {
    "no JSON": b"{",
    "no object": b"[]",
    "no amount": b"{}",
    "an amount of nothing": b'{"amount": {"minor": 0, "currency": "CNY"}}',
    "an amount below nothing": b'{"amount": {"minor": -5, "currency": "CNY"}}',
    "an amount that is a float": b'{"amount": {"minor": 1.5, "currency": "CNY"}}',
    "an amount that is a text": b'{"amount": {"minor": "5", "currency": "CNY"}}',
    "an amount that is true": b'{"amount": {"minor": true, "currency": "CNY"}}',
    "an amount that no JSON number keeps": b'{"amount": {"minor": 9007199254740992, "currency": "CNY"}}',
    "another currency": b'{"amount": {"minor": 5, "currency": "USD"}}',
    "no currency": b'{"amount": {"minor": 5, "currency": "yuan"}}',
    "a short sale id": b'{"sale_id": "1", "amount": {"minor": 5, "currency": "CNY"}}',
    "a sale id with a path": b'{"sale_id": "../../../etc", "amount": {"minor": 5, "currency": "CNY"}}',
    "a sale id with a line": b'{"sale_id": "sale-0001\\n", "amount": {"minor": 5, "currency": "CNY"}}',
    "a category in words": b'{"category": "food", "amount": {"minor": 5, "currency": "CNY"}}',
    "a capture never": b'{"capture": "never", "amount": {"minor": 5, "currency": "CNY"}}',
    "a code without end": b'{"code": "' + b"A" * 513 + b'", "amount": {"minor": 5, "currency": "CNY"}}',
    "half a letter": b'{"code": "\\ud800", "amount": {"minor": 5, "currency": "CNY"}}',
    "bytes that are no text": b'{"code": "\xff", "amount": {"minor": 5, "currency": "CNY"}}',
    "a thousand lists": b"[" * 5_000,
}


def test_a_malformed_body_is_refused_with_a_reason_and_nothing_is_recorded(pos: ServedLane) -> None:
    def story(_: LocalClient) -> None:
        for name, body in MALFORMED.items():
            status, media, answer = pos.raw("POST", "/v1/sales", body)
            assert (status, media) == (422, "application/problem+json"), name
            assert json.loads(answer)["detail"], name
            assert b"Traceback" not in answer

    before = pos.till.ledger.head
    pos.tell(story)
    assert pos.till.ledger.head == before


def test_a_body_that_is_too_large_is_refused_before_it_is_read_whole(pos: ServedLane) -> None:
    status, media, _ = pos.tell(lambda _: pos.raw("POST", "/v1/sales", b" " * (BODY_BYTES_MAX + 1)))
    assert (status, media) == (413, "application/problem+json")


ELSEWHERE = [
    ("GET", "/v1", 404),
    ("PUT", "/v1/sales", 405),
    ("GET", "/v1/sales?limit=many", 422),
    ("DELETE", "/v1/sales/sale-0001", 405),
    ("GET", "/v1/sales/sale-0001?wait_s=nan", 404),
    ("GET", "/v1/sales/sale-0002?wait_s=nan", 422),
    ("GET", "/v1/sales/sale-0002?wait_s=inf", 422),
    ("GET", "/v1/sales/sale-0002?after_attempt=nan", 422),
    ("GET", "/v1/sales/sale-0002?wait_s=soon", 422),
    ("GET", "/v1/sales/%ff%00%0a", 404),
]


def test_every_refusal_is_a_problem_document(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        client.post("/v1/sales", {"sale_id": "sale-0002", "amount": AMOUNT})
        for method, path, status in ELSEWHERE:
            said, media, answer = pos.raw(method, path)
            assert (said, media) == (status, "application/problem+json"), path
            assert json.loads(answer)["status"] == status

    pos.tell(story)


def test_a_bug_is_a_problem_document_without_a_stack_trace(pos: ServedLane) -> None:
    checkout: Any = pos.till.checkout

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError("secret detail")

    checkout.sell = broken
    body = json.dumps({"amount": AMOUNT, "code": "x"}).encode()
    status, media, answer = pos.tell(lambda _: pos.raw("POST", "/v1/sales", body))
    assert (status, media) == (500, "application/problem+json")
    assert b"Traceback" not in answer and b"secret" not in answer


def test_a_sale_in_progress_is_shown_as_asked_and_never_as_unknown(pos: ServedLane) -> None:
    seen = asyncio.Event()

    async def slowly(request: Any) -> Any:
        await seen.wait()
        return approved(request)

    pos.till.backend.available, pos.till.backend.answer = True, slowly

    def story(client: LocalClient) -> None:
        client.post("/v1/sales", {"sale_id": "sale-0001", "amount": AMOUNT})
        pos.scan(pos.till.phone().code())
        states = {client.get("/v1/sales/sale-0001?wait_s=0.05")["state"] for _ in range(3)}
        pos.loop.call_soon_threadsafe(seen.set)
        assert states == {"asking"}
        assert client.get("/v1/sales/sale-0001?wait_s=60")["mode"] == "online"

    pos.tell(story)


def test_the_day_is_closed_and_a_lender_that_is_none_is_refused(pos: ServedLane) -> None:
    def story(client: LocalClient) -> None:
        assert problem(lambda: client.post("/v1/settlements", {"lender": "nobody"})) == (404, "lender_unknown")
        report = client.post("/v1/settlements")
        assert (report["lender"], report["batch"], report["state"]) == (LENDER, 1, "pending")
        repeated = report | {"was_closed": True}
        assert client.post("/v1/settlements") == repeated == client.post("/v1/settlements", {"batch": 1})
        assert problem(lambda: client.post("/v1/settlements", {"batch": 9})) == (409, "batch_unknown")

    pos.tell(story)


def test_the_journal_is_verified_while_the_lane_runs(pos: ServedLane) -> None:
    assert pos.tell(lambda client: client.post("/v1/journal/verification"))["verified"] is True
    database: Any = pos.till.ledger._db
    database.execute_sql("DELETE FROM journal_entry WHERE number = (SELECT MAX(number) FROM journal_entry)")
    assert pos.tell(lambda client: problem(lambda: client.post("/v1/journal/verification"))) == (503, "ledger_corrupt")


@contextmanager
def listening(pos: ServedLane) -> Iterator[Any]:
    connection = http.client.HTTPConnection("localhost", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(pos.path))
    connection.request("GET", "/v1/events")
    yield connection.getresponse()
    connection.close()


def test_events_arrive_as_they_happen_and_a_stop_ends_them_at_once(pos: ServedLane) -> None:
    def story(client: LocalClient) -> Any:
        with listening(pos) as stream:
            assert stream.headers["Content-Type"].startswith("text/event-stream")
            client.post("/v1/sales", {"sale_id": "sale-0001", "amount": AMOUNT, "code": pos.till.phone().code()})
            found: list[Any] = []
            while len(found) < 3:
                line = stream.readline().decode().strip()
                if line.startswith("data:"):
                    found.append(json.loads(line[5:]).get("state"))
            assert found == [None, "asking", "approved"], "first the state as it is"
            pos.loop.call_soon_threadsafe(pos.till.lane.events.close)
            assert stream.read().strip() == b""

    pos.tell(story)


def test_only_owner_and_group_may_sell(pos: ServedLane) -> None:
    assert pos.tell(lambda _: stat.S_IMODE(pos.path.stat().st_mode)) == 0o660


def test_an_agent_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(AgentNotRunning):
        LocalClient(tmp_path / "no.sock").get("/v1/status")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/sales/sale-0001/refund", {"request_id": "r-1", "amount": 100}),
        ("/v1/sales/sale-0001/capture", {"amount": 100}),
        ("/v1/sales", {"amount": AMOUNT, "captrue": "later"}),
        ("/v1/sales", {"amount": AMOUNT | {"major": 1}}),
    ],
)
def test_a_field_that_nobody_knows_is_refused_by_name_and_never_read_as_all_of_it(
    pos: ServedLane, path: str, body: dict[str, Any]
) -> None:
    code = pos.till.phone().code()

    def story(client: LocalClient) -> None:
        sold = client.post("/v1/sales", {"sale_id": "sale-0001", "amount": AMOUNT, "code": code})
        with pytest.raises(RequestRefused, match=r"amount|captrue|major"):
            client.post(path, body)
        assert client.get("/v1/sales/sale-0001")["refunded"] == sold["refunded"]

    pos.tell(story)


def test_a_refund_by_slip_is_in_the_currency_of_the_lane(pos: ServedLane) -> None:
    code = pos.till.phone().code()

    def story(client: LocalClient) -> None:
        client.post("/v1/sales", {"sale_id": "sale-0001", "amount": AMOUNT, "code": code})
        lane = pos.till.lane.settings.lane
        body = {"request_id": "r-1", "slip": slip_code(lane, "sale-0001"), "amount": {"minor": 100, "currency": "USD"}}
        assert problem(lambda: client.post("/v1/refunds", body)) == (422, "amount")
        assert client.get("/v1/sales/sale-0001")["refunded"]["minor"] == 0

    pos.tell(story)


@pytest.mark.parametrize("slip", [slip_code("l" * 65, "sale-0001"), slip_code("lane-02", "s" * 37), "CFS1:lane-02:\0"])
def test_a_slip_of_what_can_be_no_sale_is_refused_and_not_recorded(pos: ServedLane, slip: str) -> None:
    def story(client: LocalClient) -> None:
        before = pos.till.ledger.head
        body = {"request_id": "r-1", "slip": slip, "amount": AMOUNT}
        assert problem(lambda: client.post("/v1/refunds", body)) == (422, "slip_malformed")
        assert pos.till.ledger.head == before

    pos.tell(story)


def test_a_code_that_is_no_good_pass_is_shown_nobodys_offers(pos: ServedLane) -> None:
    stale = pos.till.phone().code(age_s=600)

    def story(client: LocalClient) -> None:
        for code, reason in (("rubbish", "pass.not_base64"), (stale, "pass.proof_stale")):
            assert problem(lambda code=code: client.post("/v1/offers", {"amount": AMOUNT, "code": code})) == (
                409,
                reason,
            )

    pos.tell(story)


def test_a_sale_whose_slip_is_lost_is_found_by_amount_account_or_day(pos: ServedLane) -> None:
    def found(query: str) -> list[str]:
        return [sale["sale_id"] for sale in pos.client.get(f"/v1/sales?{query}")["sales"]]

    def story(client: LocalClient) -> None:
        for number, minor in enumerate((1_000, 1_100, 1_000)):
            amount = AMOUNT | {"minor": minor}
            client.post(
                "/v1/sales", {"sale_id": f"sale-000{number}", "amount": amount, "code": pos.till.phone().code()}
            )
        tail = client.get("/v1/sales/sale-0001")["account"][-4:]
        assert found("") == found(f"account_tail={tail.upper()}") == ["sale-0002", "sale-0001", "sale-0000"]
        assert found("amount_minor=1000&day=2027-01-15") == ["sale-0002", "sale-0000"]
        assert found("day=2027-01-14") == found("account_tail=ffff") == []
        assert client.get("/v1/sales?limit=2")["more"] and not client.get("/v1/sales?limit=3")["more"]
        assert client.get("/v1/sales?limit=1")["sales"] == [client.get("/v1/sales/sale-0002")]

    pos.tell(story)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("amount_minor=12.5", "amount_minor"),
        ("amount_minor=0", "amount_minor"),
        ("amount_minor=-1", "amount_minor"),
        ("amount_minor=99999999999999999999", "amount_minor"),
        ("account_tail=9f3", "account_tail"),
        ("account_tail=9f3g", "account_tail"),
        ("day=yesterday", "day"),
        ("limit=x", "limit"),
    ],
)
def test_a_search_for_what_can_be_no_sale_is_refused_in_words(pos: ServedLane, query: str, kind: str) -> None:
    pos.tell(lambda client: problem(lambda: client.get(f"/v1/sales?{query}")) == (422, kind) or pytest.fail(query))
