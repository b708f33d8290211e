"""The lane protocol over HTTP: every call, its repetition, and every way to get it wrong."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core import trust
from agent.core.policy import verify_policy
from agent.core.snapshot_reader import open_layer, trusting
from backend.database import is_shared
from backend.ingest import Upload
from backend.wire import b64url, from_b64url
from tests.backend.lanes import LENDER, PaperLane, Shop

Call = Callable[..., httpx.Response]
PROBLEM = "urn:counterfoil:problem:"


def ask(call: Call, lane: PaperLane, raw: bytes, **headers: str) -> httpx.Response:
    sale = json.loads(raw)
    key = f"{LENDER}/{lane.name}/{sale['sale_id']}/{sale['attempt']}"
    return call("POST", "/v1/authorizations", raw, lane=lane.name, **{"idempotency_key": key} | headers)


def to_wire(upload: Upload, **other: Any) -> dict[str, Any]:
    entries = [b64url(entry) for entry in upload.entries]
    body = {"lane": upload.lane, "epoch": upload.epoch, "first": upload.first, "entries": entries}
    return body | {"signature": b64url(upload.signature)} | other


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == response.status_code and document["title"]
    return response.status_code, document["type"].removeprefix(PROBLEM)


# --- authorizations --------------------------------------------------------------------------------------------
def test_an_approval_names_amount_code_and_policy(shop: Shop, call: Call) -> None:
    lane = shop.lanes["A"]
    answer = ask(call, lane, lane.request(12_800, "sale-0001")).json()
    assert len(answer.pop("authorization_code")) == 6
    assert answer == {
        "approved": True,
        "response_code": "00",
        "reason": "approved",
        "rules": [],
        "policy_version": 1,
        "amount": {"minor": 12_800, "currency": "CNY"},
        "lease_used_minor": 0,
        "decided_at": "2027-01-15T08:00:00Z",
    }


def test_the_same_bytes_get_the_same_bytes_and_other_bytes_a_conflict(shop: Shop, call: Call) -> None:
    lane = shop.lanes["A"]
    raw = lane.request(100, "sale-0001")
    first = ask(call, lane, raw)
    assert ask(call, lane, raw).content == first.content
    assert problem(ask(call, lane, raw + b" ")) == (409, "idempotency_conflict")
    assert call("GET", f"/v1/authorizations/{LENDER}/sale-0001/1").content == first.content
    assert shop.account().held_minor == 100


def test_another_lane_does_not_see_the_answer(shop: Shop, call: Call) -> None:
    lane = shop.lanes["A"]
    ask(call, lane, lane.request(100, "sale-0001"))
    unseen = call("GET", f"/v1/authorizations/{LENDER}/sale-0001/1", lane="B")
    assert problem(unseen) == (404, "authorization_unknown")


DECLINES = [
    pytest.param({"amount": {"minor": 100_001, "currency": "CNY"}}, ("51", "limit_exceeded"), id="credit"),
    pytest.param({"amount": {"minor": 100, "currency": "EUR"}}, ("13", "currency_mismatch"), id="currency"),
    pytest.param({"pass": "aGVsbG8="}, ("12", "pass.not_emvco"), id="no pass"),
    pytest.param({"pass": "…"}, ("12", "pass.not_base64"), id="not base64"),
    pytest.param({"pass": "A" * 4_000}, ("12", "pass.too_long"), id="long"),
]


@pytest.mark.parametrize(("other", "why"), DECLINES)
def test_a_decline_is_an_answer_and_not_an_error(
    shop: Shop, call: Call, other: dict[str, Any], why: tuple[str, str]
) -> None:
    lane = shop.lanes["A"]
    answer = ask(call, lane, lane.request(100, "sale-0001", **other))
    assert answer.status_code == 200
    declined = answer.json()
    assert (declined["response_code"], declined["reason"]) == why
    assert (declined["approved"], declined["amount"], declined["authorization_code"]) == (False, None, None)
    assert shop.account().held_minor == 0


def test_a_reason_has_one_code_online_and_at_a_lane_that_stands_in() -> None:
    from agent.core.decision import RESPONSE_CODES
    from backend.authorizations import DECLINES

    shared = DECLINES.keys() & RESPONSE_CODES.keys()
    assert shared >= {"account_blocked", "currency_mismatch"}
    assert {reason: DECLINES[reason] for reason in shared} == {reason: RESPONSE_CODES[reason] for reason in shared}


def test_a_stale_pass_is_judged_by_the_backends_own_clock(shop: Shop, call: Call) -> None:
    lane = shop.lanes["A"]
    raw = lane.request(100, "sale-0001")
    shop.clock.now_s += 3_600
    assert ask(call, lane, raw).json()["reason"] == "pass.proof_stale"


def test_a_blocked_or_unknown_account_is_declined(shop: Shop, call: Call) -> None:
    from backend import accounts, demo_data
    from backend.database import transaction

    lane = shop.lanes["A"]
    blocked = accounts.find(LENDER, shop.token)
    assert blocked is not None
    with transaction(shop.backend.database):
        accounts.set_blocked(blocked, True)
    assert ask(call, lane, lane.request(1, "sale-0001")).json()["reason"] == "account_blocked"
    lender = shop.backend.lenders[LENDER]
    stranger = demo_data.issue_phone(lender, bytes(16), now_s=shop.clock.now_s, randomness=shop.chance.randbytes)
    shop.phones.append(stranger)
    assert ask(call, lane, lane.request(1, "sale-0002", phone=2)).json()["response_code"] == "14"


def test_a_large_sale_wants_the_phones_user_and_then_goes_through_as_a_new_attempt(shop: Shop, call: Call) -> None:
    lane = shop.lanes["A"]
    code = shop.phones[0].show_pass(now_s=shop.clock.now_s, cti=b"unverifd")
    answer = ask(call, lane, lane.request(30_000, "sale-0001", **{"pass": code})).json()
    assert (answer["response_code"], answer["reason"], answer["rules"]) == ("1A", "step_up", ["step-up"])
    assert ask(call, lane, lane.request(30_000, "sale-0001", attempt=2)).json()["approved"]


# --- journal ---------------------------------------------------------------------------------------------------
def test_an_upload_is_acknowledged_and_a_repeated_one_changes_nothing(shop: Shop, call: Call) -> None:
    lane = shop.lanes["A"]
    lane.stand_in(70, funding="cap")
    lane.write("print", {"job_id": 1, "rung": "confirmed", "copy": False})
    lane.write("teleport", {"to": "moon"})
    body = zstandard.compress(json.dumps(to_wire(lane.signed_upload())).encode(), 3)
    results = [{"number": 1, "result": "accepted"}, {"number": 2, "result": "accepted"}]
    parked = {"number": 3, "result": "parked", "reason": "kind_unknown", "bearer": "operator"}
    answer = call("POST", "/v1/journal", body, content_encoding="zstd")
    assert answer.json() == {"acknowledged_through": 3, "posted_through": 3, "results": [*results, parked]}
    again = call("POST", "/v1/journal", body, content_encoding="zstd").json()
    assert [row["result"] for row in again["results"]] == ["duplicate", "duplicate", "parked"]
    assert shop.account().cap_minor == 70


def test_an_upload_may_overlap_what_is_there(shop: Shop, call: Call) -> None:
    lane = shop.lanes["A"]
    for _ in range(4):
        lane.stand_in(10, funding="cap")
    call("POST", "/v1/journal", to_wire(lane.signed_upload(1, 2)))
    answer = call("POST", "/v1/journal", to_wire(lane.signed_upload(1, 4))).json()
    assert answer["acknowledged_through"] == 4
    assert [row["result"] for row in answer["results"]] == ["duplicate", "duplicate", "accepted", "accepted"]


def test_a_gap_names_the_number_that_is_expected(shop: Shop, call: Call) -> None:
    lane = shop.lanes["A"]
    for _ in range(3):
        lane.stand_in(10, funding="cap")
    gap = call("POST", "/v1/journal", to_wire(lane.signed_upload(3)))
    assert problem(gap) == (409, "journal_gap")
    assert gap.json()["expected"] == 1


def test_a_fork_names_the_head_that_is_stored(shop: Shop, call: Call) -> None:
    """A database restored from a backup writes other entries under numbers that are taken."""
    lane = shop.lanes["A"]
    lane.stand_in(10, funding="cap")
    start = lane.head
    lane.stand_in(20, funding="cap")
    call("POST", "/v1/journal", to_wire(lane.signed_upload()))
    stored = lane.head.hash
    lane.head = start
    lane.entries.pop()
    lane.stand_in(99, funding="cap")
    for first in (1, 2):
        fork = call("POST", "/v1/journal", to_wire(lane.signed_upload(first)))
        assert problem(fork) == (409, "journal_fork")
        assert (fork.json()["expected"], fork.json()["head"]) == (3, b64url(stored))
    lane.stand_in(98, funding="cap")
    assert problem(call("POST", "/v1/journal", to_wire(lane.signed_upload(3)))) == (409, "journal_fork")
    assert shop.account().cap_minor == 30


def test_one_entry_that_cannot_be_posted_does_not_stop_the_rest(shop: Shop, call: Call) -> None:
    lane = shop.lanes["A"]
    lane.write("capture", {"amount_minor": 5, "currency": "CNY", "account": shop.token}, "sale-none-1")
    lane.write("authorization", {"amount_minor": -5}, "sale-none-2")
    lane.write("authorization", {"amount_minor": 5, "currency": "EUR"}, "sale-none-3")
    lane.write("online_outcome", {"amount_minor": 5, "currency": "CNY"}, "sale-none-4")
    lane.stand_in(5, token=bytes(16))
    lane.stand_in(70, funding="cap")
    results = call("POST", "/v1/journal", to_wire(lane.signed_upload())).json()["results"]
    assert [row.get("reason") for row in results] == [
        "hold_none", "body_malformed", "currency_mismatch", "body_malformed", "account_unknown", None,
    ]  # fmt: skip


REFUSED_UPLOADS: list[tuple[str, Callable[[PaperLane], dict[str, Any]], tuple[int, str]]] = [
    ("lane", lambda lane: to_wire(lane.signed_upload(), lane="B"), (403, "lane_mismatch")),
    ("epoch", lambda lane: to_wire(lane.signed_upload(), epoch=2), (409, "epoch_unknown")),
    ("signature", lambda lane: to_wire(lane.signed_upload(), signature=b64url(b"x")), (403, "upload_signature")),
    ("other count", lambda lane: to_wire(lane.signed_upload(1, 1), entries=to_wire(lane.signed_upload())["entries"]),
     (403, "upload_signature")),
    ("entry", lambda lane: to_wire(lane.signed_upload(), entries=[b64url(b"\x80")]), (422, "journal_malformed")),
    ("order", lambda lane: to_wire(lane.signed_upload(), entries=to_wire(lane.signed_upload())["entries"][::-1]),
     (422, "journal_malformed")),
    ("none", lambda lane: to_wire(lane.signed_upload(), entries=[]), (400, "malformed")),
    ("base64", lambda lane: to_wire(lane.signed_upload(), entries=["%%%"]), (400, "malformed")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "expected"), REFUSED_UPLOADS, ids=[row[0] for row in REFUSED_UPLOADS])
def test_an_upload_that_is_not_this_lanes_is_refused_whole(
    shop: Shop, call: Call, name: str, make: Callable[[PaperLane], dict[str, Any]], expected: tuple[int, str]
) -> None:
    lane = shop.lanes["A"]
    lane.stand_in(10, funding="cap")
    lane.stand_in(20, funding="cap")
    assert problem(call("POST", "/v1/journal", make(lane))) == expected
    assert shop.account().cap_minor == 0


# --- documents -------------------------------------------------------------------------------------------------
def test_keys_policy_time_and_snapshot_verify_with_the_pinned_root(shop: Shop, call: Call) -> None:
    lender, now_s = shop.backend.lenders[LENDER], shop.clock.now_s
    keys = trust.verify_key_list(call("GET", f"/v1/keys?lender={LENDER}").content, lender.root, version_min=1)
    assert verify_policy(call("GET", f"/v1/policy?lender={LENDER}").content, keys, at=now_s).version == 1
    beat = {"lender": LENDER, "nonce": b64url(bytes(16)), "queue_depth": 3}
    signed = from_b64url(call("POST", "/v1/heartbeat", beat).json()["time"])
    stated = trust.verify_document(signed, keys, role="time", typ="counterfoil-time", at=now_s)
    assert stated == {"lender": LENDER, "nonce": bytes(16), "time": now_s}
    shop.backend.refresh_snapshots()
    (layer,) = call("GET", f"/v1/snapshot?lender={LENDER}").json()["layers"]
    assert open_layer(call("GET", layer["url"]).content, trusting(keys, now_s)).manifest.lane == "A"


def test_what_a_lane_has_already_is_not_sent_again(shop: Shop, call: Call) -> None:
    shop.backend.refresh_snapshots()
    for path in ("keys", "policy", "snapshot"):
        tag = call("GET", f"/v1/{path}?lender={LENDER}").headers["etag"]
        assert call("GET", f"/v1/{path}?lender={LENDER}", if_none_match=tag).status_code == 304
        assert call("GET", f"/v1/{path}?lender={LENDER}", if_none_match='"0"').status_code == 200


def test_the_stack_lists_a_base_and_its_deltas_bottom_first(shop: Shop, call: Call) -> None:
    assert problem(call("GET", f"/v1/snapshot?lender={LENDER}")) == (404, "snapshot_none")
    shop.backend.refresh_snapshots()
    lane = shop.lanes["B"]
    ask(call, lane, lane.request(100, "sale-0001"))
    assert shop.backend.refresh_snapshots() == 2, "one account changed: a delta for each lane"
    assert shop.backend.refresh_snapshots() == 0
    stack = call("GET", f"/v1/snapshot?lender={LENDER}").json()
    assert stack["sequence"] == 2
    assert [(layer["sequence"], layer["base"]) for layer in stack["layers"]] == [(1, True), (2, False)]
    shop.clock.now_s += shop.backend.plan.refresh_s
    shop.backend.refresh_snapshots()
    stack = call("GET", f"/v1/snapshot?lender={LENDER}").json()
    assert [(layer["sequence"], layer["base"]) for layer in stack["layers"]] == [(3, True)]


def test_a_download_that_broke_off_is_resumed(shop: Shop, call: Call) -> None:
    shop.backend.refresh_snapshots()
    (layer,) = call("GET", f"/v1/snapshot?lender={LENDER}").json()["layers"]
    whole = call("GET", layer["url"]).content
    rest = call("GET", layer["url"], range="bytes=100-")
    assert (rest.status_code, rest.content) == (206, whole[100:])
    assert rest.headers["content-range"] == f"bytes 100-{len(whole) - 1}/{len(whole)}"
    assert call("GET", layer["url"], range="bytes=1-2").content == whole[1:3]
    assert problem(call("GET", layer["url"], range=f"bytes={len(whole)}-")) == (416, "range")
    assert call("GET", layer["url"], range="bytes=x-").content == whole
    assert call("GET", layer["url"], lane="B").content != whole, "the same path is another lane's own layer"


# --- settlement ------------------------------------------------------------------------------------------------
def settlement(lane: PaperLane, **other: Any) -> dict[str, Any]:
    totals = {"approved": {"count": 2, "minor": 100}, "declined": {"count": 1, "minor": 7}}
    totals |= {"captured": {"count": 1, "minor": 70}, "stand_in": {"count": 2, "minor": 100}}
    body = {"lender": LENDER, "epoch": 1, "batch": 1, "first_number": 1, "last_number": lane.head.number}
    return body | {"chain_head": b64url(lane.head.hash), "totals": totals} | other


def a_day(shop: Shop) -> PaperLane:
    lane = shop.lanes["A"]
    sale = lane.stand_in(70, funding="cap")
    lane.stand_in(30, funding="cap")
    lane.decline(7, "sale-declined")
    lane.capture(70, sale)
    return lane


def test_a_day_that_agrees_is_matched_once(shop: Shop, call: Call) -> None:
    lane = a_day(shop)
    behind = call("POST", "/v1/settlements", settlement(lane))
    assert problem(behind) == (409, "journal_behind")
    assert behind.json()["acknowledged_through"] == 0
    lane.upload()
    matched = call("POST", "/v1/settlements", settlement(lane))
    assert matched.json()["matched"] is True
    assert matched.json()["totals"]["reversed"] == {"count": 0, "minor": 0}
    assert call("POST", "/v1/settlements", settlement(lane)).content == matched.content
    other = settlement(lane, totals={})
    assert problem(call("POST", "/v1/settlements", other)) == (409, "settlement_conflict")


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"totals": {"approved": {"count": 3, "minor": 100}}}, "approved"),
        ({"chain_head": b64url(bytes(32))}, "chain_head"),
        ({"last_number": 3}, "captured"),
    ],
)
def test_a_day_that_differs_says_where(shop: Shop, call: Call, other: dict[str, Any], difference: str) -> None:
    lane = a_day(shop)
    lane.upload()
    answer = call("POST", "/v1/settlements", settlement(lane, **other)).json()
    assert answer["matched"] is False
    assert difference in {each.get("name", each["what"]) for each in answer["differences"]}


# --- whatever a peer sends -------------------------------------------------------------------------------------
CALLS = [
    ("GET", f"/v1/keys?lender={LENDER}"), ("GET", f"/v1/policy?lender={LENDER}"),
    ("GET", f"/v1/snapshot?lender={LENDER}"), ("GET", f"/v1/snapshot/{LENDER}/1"), ("POST", "/v1/heartbeat"),
    ("POST", "/v1/authorizations"), ("GET", f"/v1/authorizations/{LENDER}/sale-0001/1"), ("POST", "/v1/journal"),
    ("POST", "/v1/settlements"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_without_a_certificate_there_is_no_answer(call: Call, method: str, path: str) -> None:
    assert problem(call(method, path, b"{}" if method == "POST" else None, lane=None)) == (401, "certificate_required")


REFUSED: list[tuple[str, Any, dict[str, str], tuple[int, str]]] = [
    ("GET /v1/nothing", None, {}, (404, "not_found")),
    ("DELETE /v1/keys", None, {}, (405, "method_not_allowed")),
    ("GET /v1/keys?lender=other", None, {}, (404, "lender_unknown")),
    (f"GET /v1/snapshot/{LENDER}/999999999999999999999", None, {}, (404, "not_found")),
    (f"GET /v1/authorizations/{LENDER}/x/99999999999999999999", None, {}, (404, "not_found")),
    ("POST /v1/heartbeat", {"lender": LENDER, "nonce": "short"}, {}, (400, "malformed")),
    ("POST /v1/authorizations", b"", {}, (400, "malformed")),
    ("POST /v1/authorizations", b"\xff\xfe", {}, (400, "malformed")),
    ("POST /v1/authorizations", b"[" * 100_000, {}, (400, "malformed")),
    ("POST /v1/journal", b"x" * (8 * 1024 * 1024 + 1), {}, (413, "too_large")),
    ("POST /v1/journal", b"no zstd", {"content_encoding": "zstd"}, (400, "malformed")),
    ("POST /v1/journal", b"{}", {"content_encoding": "br"}, (400, "malformed")),
    ("POST /v1/journal", zstandard.compress(bytes(64 << 20)), {"content_encoding": "zstd"}, (413, "too_large")),
    ("POST /v1/heartbeat", {"lender": LENDER, "nonce": "A" * 22, "more": [{}] * 20_000}, {}, (400, "malformed")),
    (f"GET /v1/authorizations/{LENDER}/sale%00-0001/1", None, {}, (404, "not_found")),
    (f"GET /v1/sales/A%00/sale-0001/refundable?lender={LENDER}", None, {}, (404, "not_found")),
    (f"GET /v1/snapshot/{LENDER}%00/1", None, {}, (404, "not_found")),
    ("POST /v1/enroll", {"code": "AAAA", "csr": "x", "journal_key": "AA"}, {}, (403, "code_refused")),
    ("POST /v1/enroll", {"code": "ÄÖÜ-%", "csr": "x", "journal_key": "AA"}, {}, (403, "code_refused")),
]


@pytest.mark.parametrize(("line", "body", "headers", "expected"), REFUSED)
def test_a_bad_request_gets_a_problem_document(
    call: Call, line: str, body: Any, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert problem(call(*line.split(), body, **headers)) == expected


def test_the_idempotency_key_belongs_to_the_body(shop: Shop, call: Call) -> None:
    lane = shop.lanes["A"]
    raw = lane.request(100, "sale-0001")
    assert problem(ask(call, lane, raw, idempotency_key="demo/A/other/1")) == (400, "key_mismatch")
    assert problem(call("POST", "/v1/authorizations", raw)) == (400, "key_mismatch")


def test_a_lane_that_was_never_enrolled_gets_nowhere(shop: Shop, call: Call) -> None:
    lane = shop.lanes["A"]
    lane.name = "Z"
    assert problem(ask(call, lane, lane.request(100, "sale-0001"))) == (403, "lane_unknown")


def test_a_failing_disk_is_a_retry_later(shop: Shop, call: Call) -> None:
    lane, database = shop.lanes["A"], shop.backend.database
    read_only = "SET default_transaction_read_only = {}" if is_shared(database) else "PRAGMA query_only={}"
    database.execute_sql(read_only.format("on"))
    assert problem(ask(call, lane, lane.request(100, "sale-0001"))) == (503, "unavailable")
    database.execute_sql(read_only.format("off"))
    assert ask(call, lane, lane.request(100, "sale-0001")).json()["approved"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([LENDER, "A", "AA"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("lender", "sale_id", "attempt", "epoch", "intent_number", "amount", "pass", "scanned_at", "category",
          "capture", "lease", "lane", "first", "entries", "signature", "batch", "first_number", "last_number",
          "chain_head", "totals", "nonce", "code", "csr", "journal_key")  # fmt: skip


@given(
    path=st.sampled_from(["authorizations", "journal", "settlements", "heartbeat", "enroll"]),
    edits=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4),
)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_body_makes_the_backend_fail(shop: Shop, call: Call, path: str, edits: dict[str, Any]) -> None:
    lane = shop.lanes["A"]
    if not lane.entries:
        lane.stand_in(10, funding="cap")
    valid = json.loads(lane.request(100, "sale-0001")) | to_wire(lane.signed_upload(1)) | settlement(lane)
    valid |= {"nonce": b64url(bytes(16)), "code": "AAAA", "csr": "x", "journal_key": "AA"}
    key = f"{LENDER}/A/sale-0001/1"
    response = call("POST", f"/v1/{path}", valid | edits, idempotency_key=key)
    assert response.status_code < 500
    assert response.status_code < 400 or problem(response)
