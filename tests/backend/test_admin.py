"""What operators ask: the same answers beside a running server and without one, in sentences, and for nobody else."""

import asyncio
import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.core.coupons import check_use, read_coupon
from backend.admin import client, listening
from backend.admin.api import create_admin_app
from backend.admin.operation import Answer, Progress, Refused, Steps, perform
from backend.admin.table import OPERATIONS
from backend.schema import Certificate, Dispute, LaneReport, Visit
from backend.wire import SettlementRequest, b64url, read
from tests.backend.lanes import LENDER, START, Shop

Ask = Callable[..., Answer]


def ask(shop: Shop, name: str, /, **params: Any) -> Answer:
    """The answer of an operation, without a server."""
    *_, last = perform(OPERATIONS, shop.backend, name, params)
    return dict(last["answer"])


def refusal(shop: Shop, name: str, **params: Any) -> str:
    with pytest.raises(Refused) as refused:
        ask(shop, name, **params)
    return str(refused.value)


@contextmanager
def serving(directory: Path, backend: Any, table: Any) -> Iterator[None]:
    """The operators' socket of a server, on a loop of its own."""
    began, loop = threading.Event(), asyncio.new_event_loop()

    async def run() -> None:
        async with listening.listening((create_admin_app(backend, table), listening.bind_admin(directory))):
            began.set()
            await over.wait()

    over = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert began.wait(60)
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(60)
        loop.close()


def over_socket(directory: Path, name: str, **params: Any) -> list[Any]:
    for _ in range(3_000):
        connection = client.connect(directory)
        if connection is not None:
            return list(client.ask(connection, name, params))
        threading.Event().wait(0.02)
    raise AssertionError("nobody listens")


def test_a_coupon_is_good_at_once_at_a_lane_whose_clock_is_behind(shop: Shop) -> None:
    text = str(ask(shop, "coupon.issue", account=shop.token.hex())["coupon"])
    behind_s = START - 60
    coupon = read_coupon(text, shop.backend.lenders[LENDER].key_list, at=behind_s)
    check_use(coupon, account=shop.token, plan_id="3x", amount_minor=10_000, at=behind_s)


# --- the door ------------------------------------------------------------------------------------------------------
def echo(_backend: Any, *, text: str, times: int = 1) -> Steps:
    """Not an operation of the product: one that shows what arrives."""
    for number in range(times):
        yield Progress(number, times, "words")
    return {"text": text}


def broken(_backend: Any) -> Answer:
    raise RuntimeError("a bug")


NEW_LANE = {"lane": "C", "store": "store-1", "merchant": "merchant-1", "merchant_name": "示例"}
NEW_LANE |= {"category": "5411", "currency": "CNY"}
PLAY = {"echo": echo, "broken": broken}


def test_a_long_operation_tells_how_far_it_is_and_then_its_answer(tmp_path: Path) -> None:
    with serving(tmp_path, None, PLAY):
        steps = over_socket(tmp_path, "echo", text="示例", times=2)
    assert [list(step) for step in steps] == [["progress"], ["progress"], ["answer"]]
    assert steps[-1]["answer"] == {"text": "示例"}


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("nothing", {}, "there is no operation nothing"),
        ("echo", {}, "text: Field required"),
        ("echo", {"text": 7}, "text: Input should be a valid string"),
        ("echo", {"text": "a", "more": 1}, "more: Extra inputs are not permitted"),
        ("broken", {}, "the server failed at this"),
    ],
)
def test_a_wrong_request_gets_a_sentence_and_never_a_stack_trace(
    tmp_path: Path, name: str, params: dict[str, Any], said: str
) -> None:
    with serving(tmp_path, None, PLAY), pytest.raises(Refused) as refused:
        over_socket(tmp_path, name, **params)
    assert said in str(refused.value)
    assert "Traceback" not in str(refused.value)


@pytest.mark.parametrize("body", [b"[]", b"no json", b"[" * 100_000, b" " * 1_100_000])
def test_a_body_that_is_no_request_is_refused_in_a_sentence(tmp_path: Path, body: bytes) -> None:
    with serving(tmp_path, None, PLAY):
        over_socket(tmp_path, "echo", text="it listens")
        with client.connect(tmp_path) or pytest.fail() as raw:
            raw.sendall(
                b"POST /v1/operations/echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            answer = raw.recv(65_536)
            while b"refused" not in answer:
                answer += raw.recv(65_536)
    assert b'"refused": "a request' in answer


def test_the_socket_is_its_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path, None, PLAY):
        over_socket(tmp_path, "echo", text="it listens")
        assert stat.S_IMODE((tmp_path / listening.SOCKET_NAME).stat().st_mode) == 0o600
        monkeypatch.setattr(listening, "_peer_uid", lambda _peer: os.geteuid() + 1)
        with pytest.raises(Refused, match="did not finish"):
            over_socket(tmp_path, "echo", text="another user")


def test_the_kernel_names_the_peer() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert listening._peer_uid(ours) == os.getuid()


def test_a_socket_that_a_killed_server_left_is_nobody_and_is_replaced(tmp_path: Path) -> None:
    listening.bind_admin(tmp_path).close()
    assert client.connect(tmp_path) is None
    with serving(tmp_path, None, PLAY):
        assert over_socket(tmp_path, "echo", text="again")[-1]["answer"] == {"text": "again"}


def test_a_directory_with_a_long_path_has_a_socket_too(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 200)
    deep.mkdir()
    with serving(deep, None, PLAY):
        assert over_socket(deep, "echo", text="far")[-1]["answer"] == {"text": "far"}


def test_an_answer_that_breaks_off_is_no_answer(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with theirs:
        theirs.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"progress": {}}\n')
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(Refused, match="ended before its answer"):
            list(client.ask(ours, "echo", {}))


# --- accounts ------------------------------------------------------------------------------------------------------
def test_an_account_is_opened_shown_limited_and_blocked(shop: Shop) -> None:
    token = ask(shop, "account.add", limit_minor=500)["accounts"][0]["account"]
    assert ask(shop, "account.show", account=token)["accounts"][0]["available_minor"] == 500
    assert ask(shop, "account.limit", account=token, limit_minor=7)["limit_minor"] == 7
    assert ask(shop, "account.block", account=token)["blocked"] is True
    assert ask(shop, "account.block", account=token, lift=True)["blocked"] is False


def test_a_repayment_frees_credit_and_is_never_more_than_the_debt(shop: Shop) -> None:
    lane = shop.lanes["A"]
    lane.install(shop.cut("A"))
    lane.capture(300, lane.stand_in(300))
    lane.upload()
    before, account = shop.account(), shop.token.hex()
    assert ask(shop, "account.repay", account=account, amount_minor=200)["used_minor"] == 100
    assert shop.account().available_minor == before.available_minor + 200
    assert "at most the debt of 100" in refusal(shop, "account.repay", account=account, amount_minor=101)


def test_a_lender_is_named_only_where_several_can_be_meant(shop: Shop) -> None:
    ask(shop, "lender.add", lender="second", name="Second", currency="CNY")
    shop.clock.now_s += 1
    shared, account = shop.token.hex(), "5a" * 16
    for token in (shared, account):
        ask(shop, "account.add", lender="second", account=token, limit_minor=500)
    assert ask(shop, "account.block", account=account)["lender"] == "second"
    assert {row["lender"] for row in ask(shop, "account.show")["accounts"]} == {LENDER, "second"}
    kid = ask(shop, "keys.show", lender="second")["keys"][0]["kid"]
    assert ask(shop, "keys.revoke", kid=kid)["lender"] == "second"
    assert f"2 lenders have this account, name one by --lender: {LENDER}, second" in refusal(
        shop, "account.block", account=shared
    )
    assert f"2 lenders here, name one by --lender: {LENDER}, second" in refusal(shop, "account.add", limit_minor=1)


def test_of_many_accounts_each_is_shown_once_in_the_order_of_tokens(shop: Shop) -> None:
    ask(shop, "account.add", limit_minor=500, count=45)
    answer = ask(shop, "account.show")
    tokens = [account["account"] for account in answer["accounts"]]
    assert answer["total"] == len(tokens) == 47
    assert tokens == sorted(set(tokens))
    assert len(ask(shop, "account.show", limit=3)["accounts"]) == 3


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("account.add", {"limit_minor": -1}, "a limit is at least 0"),
        ("account.limit", {"account": "00" * 16, "limit_minor": 2**53}, "below 2^53"),
        ("account.show", {"account": "00" * 16}, "has no account"),
        ("account.show", {"account": "zz"}, "32 hexadecimal digits"),
        ("account.show", {"lender": "nobody"}, "nobody"),
        ("account.add", {"limit_minor": 1, "account": "00" * 16, "count": 2}, "one token is one account"),
        ("lane.show", {"lane": "Z"}, "This lane is not enrolled here"),
        ("lane.list", {"lane": "Z"}, "This lane is not enrolled here"),
        ("lane.revoke", {"lane": "Z"}, "This lane is not enrolled here"),
        ("lane.write_off", {"lane": "A"}, "still sells in epoch 1; end its right to with: lane revoke A"),
        ("lane.write_off", {"lane": "A", "epoch": 9}, "This lane has no journal of that epoch"),
        ("lane.replace", {"lane": "A"}, "was not enrolled by a code"),
        ("lease.recall", {"lane": "Z", "reason": "stolen"}, "This lane is not enrolled here"),
        ("lane.enroll_code", NEW_LANE | {"lane": "<b>"}, "is no name for a lane"),
        ("lane.enroll_code", NEW_LANE | {"store": "../up"}, "is no name for a lane"),
        ("lane.enroll_code", NEW_LANE | {"lane": "A"}, "enrolled already"),
        ("account.repay", {"account": "00" * 16, "amount_minor": 1}, "has no account"),
        ("exception.resolve", {"lane": "A", "epoch": 1, "number": 1, "note": "seen"}, "has no exception 1/1"),
        ("exception.resolve", {"lane": "A", "epoch": 1, "number": 1, "note": " "}, "a note says what was done"),
    ],
)
def test_what_cannot_be_done_is_said(shop: Shop, name: str, params: dict[str, Any], said: str) -> None:
    assert said in refusal(shop, name, **params)


# --- leases: outstanding, and why ----------------------------------------------------------------------------------
def test_a_signed_layer_counts_before_the_lane_has_it_and_the_reason_says_so(shop: Shop) -> None:
    sequence = shop.cut("A")
    [lease] = ask(shop, "lease.list", account=shop.token.hex())["leases"]
    assert (lease["lane"], lease["layer"], lease["outstanding_minor"]) == ("A", sequence, 10_000)
    assert "was signed and counts from then on; the lane tells of no layer yet" in lease["why"]


def test_an_installed_layer_counts_until_a_newer_one_or_a_later_word_of_the_lane(shop: Shop) -> None:
    lane = shop.lanes["A"]
    lane.install(shop.cut("A"))
    lane.upload()
    [lease] = ask(shop, "lease.list", account=shop.token.hex())["leases"]
    assert lease["why"] == "the lane works with layer 1"
    assert "a newer layer that the lane tells as installed" in lease["released_by"]


def test_a_lapsed_lease_of_a_silent_lane_still_counts_and_only_its_word_or_a_write_off_ends_it(shop: Shop) -> None:
    lane = shop.lanes["A"]
    lane.install(shop.cut("A"))
    lane.upload()
    shop.clock.now_s = START + 3 * 24 * 3600
    [lease] = ask(shop, "lease.list", account=shop.token.hex())["leases"]
    assert "lapsed 2 d ago, but the lane has not sworn to a time after that" in lease["why"]
    assert "lane write-off A --epoch 1" in lease["released_by"]


def test_what_is_listed_adds_up_to_what_the_account_counts(shop: Shop) -> None:
    for name in ("A", "B"):
        shop.cut(name)
    shop.lanes["A"].install(1)
    shop.cut("A", allowance_minor=30_000)
    shown = ask(shop, "lease.list")["leases"]
    for phone in shop.phones:
        mine = sum(lease["outstanding_minor"] for lease in shown if lease["account"] == phone.account.hex())
        assert mine == shop.account(phone.account).outstanding_minor > 0
    assert {lease["lane"] for lease in ask(shop, "lease.list", lane="B")["leases"]} == {"B"}
    assert ask(shop, "lease.list", limit=1) | {"leases": 0} == {"leases": 0, "complete": False}


def test_the_summary_tells_credit_tied_up_and_turnover_that_a_lease_would_have_covered(shop: Shop) -> None:
    shop.cut("A", allowance_minor=10_000)
    for day, (lane, minor) in enumerate([("A", 10_000), ("A", 10_001), ("B", 500), ("A", 400), ("A", 300)]):
        at = {"account": shop.token, "lender": LENDER, "store": "store-1", "at_s": START - day * 24 * 3600}
        Visit.create(lane=lane, amount_minor=minor, **at)
    answer = ask(shop, "lease.summary", days=2)
    assert (answer["limits_minor"], answer["tied_up_minor"], answer["tied_up_percent"]) == (150_000, 20_000, "13.3")
    assert (answer["turnover_minor"], answer["covered_minor"], answer["covered_percent"]) == (20_501, 10_000, "48.7")
    assert (answer["regulars_turnover_minor"], answer["regulars_covered_minor"]) == (20_001, 10_000)
    assert ask(shop, "lease.summary", days=56)["covered_minor"] == 10_700


# --- lanes, exceptions, settlement ---------------------------------------------------------------------------------
def overspend(shop: Shop) -> str:
    """A stand-in sale that no lease pays for, told to the backend as entry 1/1 of lane A."""
    sale_id = shop.lanes["A"].stand_in(700)
    assert shop.lanes["A"].upload() == ["disputed:lease_excess"]
    return sale_id


def test_lanes_tell_what_is_received_and_what_is_posted(shop: Shop) -> None:
    lane = shop.lanes["A"]
    lane.install(shop.cut("A"))
    lane.upload()
    first, second = ask(shop, "lane.list")["lanes"]
    assert (first["lane"], first["state"], first["received"], first["posted"]) == ("A", "open", 1, 1)
    assert first["installed"] == {LENDER: 1}
    assert (second["lane"], second["received"]) == ("B", 0)
    assert ask(shop, "lane.list", lane="B")["lanes"] == [second]
    assert ask(shop, "lane.show", lane="A")["number"] == 1


def test_what_a_lane_says_of_itself_is_shown_with_the_end_of_its_certificate(shop: Shop) -> None:
    LaneReport.create(
        lane="A", epoch=1, number=9, acknowledged_number=4, heard_at=START, said=json.dumps({"queue_depth": 5})
    )
    Certificate.create(lane="A", serial="1", epoch=1, request_hash=b"", pem=b"", expires_at=START + 60)
    [lane] = ask(shop, "lane.list", lane="A")["lanes"]
    assert (lane["queue"], lane["heard_at"]) == (5, "2027-01-15T08:00:00Z")
    assert lane["certificate_until"] == "2027-01-15T08:01:00Z"
    [other] = ask(shop, "lane.list", lane="B")["lanes"]
    assert (other["queue"], other["heard_at"], other["certificate_until"]) == (None, None, None)


@pytest.mark.parametrize(
    ("compromised", "state", "then"),
    [(False, "draining", "written_off"), (True, "quarantined", "quarantined_written_off")],
)
def test_a_revoked_lane_can_be_written_off_and_then_nothing_of_it_is_outstanding(
    shop: Shop, compromised: bool, state: str, then: str
) -> None:
    shop.cut("A")
    assert shop.account().outstanding_minor == 10_000
    assert ask(shop, "lane.revoke", lane="A", compromised=compromised)["state"] == state
    assert shop.account().outstanding_minor == 10_000
    assert ask(shop, "lane.write_off", lane="A")["state"] == then
    assert ask(shop, "lease.list") == {"leases": [], "complete": True}
    assert shop.account().outstanding_minor == 0


def test_a_recall_asks_the_lanes_that_hold_something_and_frees_nothing(shop: Shop) -> None:
    shop.cut("A")
    answer = ask(shop, "lease.recall", account=shop.token.hex(), reason="stolen")
    assert answer == {"asked": ["A"]}
    assert shop.account().outstanding_minor == 10_000
    assert ask(shop, "lease.recall", account=shop.token.hex(), reason="stolen") == {"asked": []}


def test_an_exception_says_what_how_much_and_who_bears_it(shop: Shop) -> None:
    sale_id = overspend(shop)
    [found] = ask(shop, "exception.list")["exceptions"]
    assert (found["lane"], found["epoch"], found["number"], found["sale_id"]) == ("A", 1, 1, sale_id)
    assert (found["result"], found["reason"], found["bearer"]) == ("disputed", "lease_excess", "lender")
    assert found["amount_minor"] == 700
    assert ask(shop, "lane.list", lane="A")["lanes"][0]["exceptions"] == 1


def test_a_resolution_is_a_row_beside_the_exception_and_is_written_once(shop: Shop) -> None:
    overspend(shop)
    before = list(Dispute.select().dicts())
    ask(shop, "exception.resolve", lane="A", epoch=1, number=1, note="the lender bears it")
    assert ask(shop, "exception.list") == {"exceptions": [], "total": 0}
    [kept] = ask(shop, "exception.list", resolved=True)["exceptions"]
    assert kept["note"] == "the lender bears it"
    assert list(Dispute.select().dicts()) == before
    assert ask(shop, "lane.list", lane="A")["lanes"][0]["exceptions"] == 0
    again = refusal(shop, "exception.resolve", lane="A", epoch=1, number=1, note="no, the merchant")
    assert "resolved already: the lender bears it" in again


def test_batches_tell_their_differences_and_the_unmatched_can_be_asked_for_alone(shop: Shop) -> None:
    lane = shop.lanes["A"]
    lane.install(shop.cut("A"))
    lane.capture(300, lane.stand_in(300))
    lane.upload()
    nothing = {"count": 0, "minor": 0}
    said = dict.fromkeys(("approved", "declined", "captured", "reversed", "stand_in"), nothing)
    body = {"lender": LENDER, "epoch": 1, "batch": 1, "first_number": 1, "last_number": lane.head.number}
    body |= {"chain_head": b64url(lane.head.hash), "totals": said}
    shop.backend.settle(read(SettlementRequest, json.dumps(body).encode()), "A")
    answer = ask(shop, "settlement.list", unmatched=True)
    assert (answer["total"], answer["unmatched"]) == (1, 1)
    [batch] = answer["batches"]
    assert batch["totals"]["captured"] == {"count": 1, "minor": 300}
    assert "captured: 0 of 0 minor at the lane, 1 of 300 minor here" in batch["differences"]


def test_the_audit_answers_as_the_books_are(shop: Shop) -> None:
    overspend(shop)
    answer = ask(shop, "audit")
    assert answer["findings"] == []
    assert len(answer["disputes"]) == 1
