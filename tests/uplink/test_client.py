"""Whatever network, proxy or backend do, a call ends in a checked answer or a fault: what may have happened is told."""

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import cbor
from agent.uplink import answers, client
from agent.uplink.answers import Shapeless
from agent.uplink.faults import (
    RETRY_AFTER_MAX_S,
    BackendFault,
    Busy,
    NoAnswer,
    NotReached,
    Refused,
    Retry,
    Torn,
    retry_of,
)
from agent.uplink.http_answer import fault_of
from agent.uplink.lane_side import Upload
from tests.uplink.world import APPROVAL, URL, client_of, problem, run

ASK: Callable[[client.BackendClient], Any] = lambda c: c.authorize("shoplend/lane-1/sale-0001/1", b"{}", 1.5)  # noqa: E731


def outcome(respond: Any, ask: Any = ASK) -> Any:
    """What becomes of a call when the server does this: the answer, or the fault."""

    async def test() -> Any:
        try:
            return await ask(client_of(respond))
        except BackendFault as fault:
            return fault

    return run(test())


def answering(response: httpx.Response) -> Any:
    async def respond(_: httpx.Request) -> httpx.Response:
        return response

    return respond


def raising(error: Exception) -> Any:
    async def respond(_: httpx.Request) -> httpx.Response:
        raise error

    return respond


def html(status: int) -> httpx.Response:
    return httpx.Response(status, html="<h1>Welcome to Free Wi-Fi</h1>")


def library_exceptions(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from library_exceptions(inner)


NOT_SENT = {
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
}
BASES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)


@pytest.mark.parametrize(
    "kind", sorted({k for base in BASES for k in library_exceptions(base)}, key=lambda k: k.__name__)
)
def test_every_exception_of_the_library_is_a_fault_and_only_failed_connections_are_not_sent(
    kind: type[Exception],
) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "as raised by the library")
    fault = outcome(raising(error))
    assert isinstance(fault, BackendFault)
    assert isinstance(fault, NotReached) == (kind in NOT_SENT)
    assert isinstance(fault_of(error), type(fault))


@pytest.mark.parametrize("kind", [ConnectionResetError, BrokenPipeError, TimeoutError, OSError])
def test_an_exception_of_the_system_is_an_unknown_outcome(kind: type[Exception]) -> None:
    assert isinstance(outcome(raising(kind("reset"))), NoAnswer)


def with_field(**fields: object) -> httpx.Response:
    return httpx.Response(200, json={**APPROVAL, **fields})


ANSWERS: dict[str, tuple[httpx.Response, type[BackendFault]]] = {
    "html_page": (html(200), NoAnswer),
    "html_not_found": (html(404), NoAnswer),
    "html_forbidden": (html(403), NoAnswer),
    "redirect": (httpx.Response(302, headers={"Location": "http://portal.test"}), NoAnswer),
    "empty": (httpx.Response(200), NoAnswer),
    "no_content": (httpx.Response(204), NoAnswer),
    "torn_json": (httpx.Response(200, content=json.dumps(APPROVAL)[:-5].encode()), NoAnswer),
    "not_utf8": (httpx.Response(200, content=b"\xff\xfe{"), NoAnswer),
    "deep": (httpx.Response(200, content=b"[" * 100_000), NoAnswer),
    "huge_number": (httpx.Response(200, content=b"9" * 10_000), NoAnswer),
    "too_large": (httpx.Response(200, content=b" " * (client.ANSWER_BYTES_MAX + 1)), NoAnswer),
    "compressed": (
        httpx.Response(200, content=gzip.compress(json.dumps(APPROVAL).encode()), headers={"Content-Encoding": "gzip"}),
        NoAnswer,
    ),
    "list": (httpx.Response(200, json=[APPROVAL]), NoAnswer),
    "null": (httpx.Response(200, json=None), NoAnswer),
    "approved_is_text": (with_field(approved="true"), NoAnswer),
    "approved_is_one": (with_field(approved=1), NoAnswer),
    "approves_nothing": (with_field(amount=None), NoAnswer),
    "amount_is_float": (with_field(amount={"minor": 128.0, "currency": "CNY"}), NoAnswer),
    "amount_is_negative": (with_field(amount={"minor": -1, "currency": "CNY"}), NoAnswer),
    "amount_is_true": (with_field(amount={"minor": True, "currency": "CNY"}), NoAnswer),
    "amount_is_huge": (with_field(amount={"minor": 2**53, "currency": "CNY"}), NoAnswer),
    "lease_used_is_negative": (with_field(lease_used_minor=-1), NoAnswer),
    "text_is_endless": (with_field(reason="x" * 10_000), NoAnswer),
    "rules_are_text": (with_field(rules="floor"), NoAnswer),
    "server_error": (httpx.Response(500), NoAnswer),
    "bad_gateway": (html(502), NoAnswer),
    "problem_500": (problem(500, "internal"), NoAnswer),
    "request_timeout": (problem(408, "timeout"), NoAnswer),
    "unavailable": (problem(503, "unavailable"), Busy),
    "too_many": (httpx.Response(429), Busy),
    "foreign_problem": (
        httpx.Response(403, content=b'{"type": "about:blank"}', headers={"Content-Type": "application/problem+json"}),
        NoAnswer,
    ),
    "torn_problem": (
        httpx.Response(403, content=b'{"type": "urn:', headers={"Content-Type": "application/problem+json"}),
        NoAnswer,
    ),
    "problem_400": (problem(400, "malformed"), Refused),
    "problem_403": (problem(403, "lane_unknown"), Refused),
    "problem_404": (problem(404, "authorization_unknown"), Refused),
    "problem_409": (problem(409, "idempotency_conflict"), Refused),
}


@pytest.mark.parametrize(("response", "fault"), ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_that_is_not_one_is_a_fault(response: httpx.Response, fault: type[BackendFault]) -> None:
    assert type(outcome(answering(response))) is fault


def test_a_good_answer_is_handed_on_without_the_fields_that_nobody_knows() -> None:
    assert outcome(answering(with_field(from_a_newer_backend=[1.5, {}]))) == APPROVAL


def test_a_rate_arrives_as_the_text_that_it_was_and_never_as_a_float() -> None:
    body = b'{"matched": false, "differences": [{"fee_rate": 0.10}], "totals": {}, "chain_head": null}'
    settled = outcome(answering(httpx.Response(200, content=body)), lambda c: c.settle({}, 1))
    assert settled["differences"] == [{"fee_rate": "0.10"}]


@pytest.mark.parametrize(
    "wrong",
    [{"differences": ["entry"]}, {"totals": {"approved": 5}}, {"totals": {"approved": {"count": 1, "minor": "1"}}}],
    ids=["a difference in words", "a total that is a number", "an amount in words"],
)
def test_a_settlement_that_nobody_could_compare_is_no_answer(wrong: dict[str, Any]) -> None:
    """A day that is closed already must not end in a fault of this program."""
    body = {"matched": False, "differences": [], "totals": {}, "chain_head": None} | wrong
    assert type(outcome(answering(httpx.Response(200, json=body)), lambda c: c.settle({}, 1))) is NoAnswer


def test_a_decline_is_an_answer() -> None:
    declined = {**APPROVAL, "approved": False, "response_code": "61", "amount": None, "authorization_code": None}
    assert outcome(answering(httpx.Response(200, json=declined))) == declined


def test_a_wallet_payment_may_be_pending_and_never_approved_as_well() -> None:
    pending = {"approved": False, "pending": True, "response_code": "09", "reason": "wallet_pending", "amount": None}
    assert outcome(answering(with_field(**pending))) == {**APPROVAL, **pending}
    assert type(outcome(answering(with_field(pending=True)))) is NoAnswer
    silent = {name: value for name, value in APPROVAL.items() if name != "pending"}
    assert outcome(answering(httpx.Response(200, json=silent))) == APPROVAL


def test_a_refusal_says_why_and_brings_its_figures() -> None:
    refused = outcome(answering(problem(409, "journal_gap", expected=17, detail="entries are missing")))
    assert (refused.problem, refused.message, refused.fields) == (
        "journal_gap",
        "entries are missing",
        {"expected": 17},
    )


@pytest.mark.parametrize(
    ("header", "pause_s"),
    [
        ("7", 7),
        ("0", 0),
        ("86400", RETRY_AFTER_MAX_S),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
        ("", None),
    ],
)
def test_the_pause_that_a_busy_backend_asks_for_is_understood_and_bounded(header: str, pause_s: int | None) -> None:
    assert outcome(answering(httpx.Response(429, headers={"Retry-After": header}))).retry_after_s == pause_s


WHO_RETRIES = {
    **dict.fromkeys((400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 431, 451), Refused),
    **dict.fromkeys((408, 425, 500, 501, 502, 504, 507, 511, 301, 302, 208), NoAnswer),
    **dict.fromkeys((429, 503), Busy),
}


@pytest.mark.parametrize(("status", "fault"), WHO_RETRIES.items())
def test_only_what_can_succeed_later_is_worth_a_retry(status: int, fault: type[BackendFault]) -> None:
    found = outcome(answering(problem(status, "somehow", detail="said so")))
    assert type(found) is fault
    assert isinstance(found, Refused) == (retry_of(status) is Retry.NEVER)


def test_a_busy_backend_may_say_why() -> None:
    assert outcome(answering(problem(503, "recovering"))).problem == "recovering"
    assert outcome(answering(html(503))).problem is None


def test_a_server_that_never_answers_costs_the_budget_and_no_more() -> None:
    async def respond(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(1000)
        return httpx.Response(200)

    async def test() -> float:
        with pytest.raises(NoAnswer):
            await ASK(client_of(respond))
        return asyncio.get_running_loop().time()

    assert run(test()) == pytest.approx(1.5, abs=0.01)


def test_a_server_that_drips_costs_the_budget_and_no_more() -> None:
    class Drip(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                await asyncio.sleep(0.1)
                yield b" "

    async def test() -> float:
        with pytest.raises(NoAnswer):
            await ASK(client_of(answering(httpx.Response(200, stream=Drip()))))
        return asyncio.get_running_loop().time()

    assert run(test()) == pytest.approx(1.5, abs=0.2)


def test_the_request_says_what_the_wire_demands() -> None:
    seen: list[httpx.Request] = []

    async def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=APPROVAL)

    outcome(respond)
    outcome(respond, lambda c: c.inquire("shop/lend", "sale 1", 2, 1))
    assert seen[0].url == f"{URL}/v1/authorizations"
    assert seen[0].headers["Idempotency-Key"] == "shoplend/lane-1/sale-0001/1"
    assert seen[0].content == b"{}"
    assert seen[1].url.raw_path == b"/v1/authorizations/shop%2Flend/sale%201/2"


JOURNAL = {
    "result_without_a_number": {"acknowledged_through": 1, "results": [{"result": "accepted"}]},
    "no_results": {"acknowledged_through": 1},
    "through_is_text": {"acknowledged_through": "1", "results": []},
}


@pytest.mark.parametrize("body", JOURNAL.values(), ids=JOURNAL.keys())
def test_an_upload_is_acknowledged_in_the_agreed_shape_or_not_at_all(body: object) -> None:
    upload = Upload(1, 1, (b"entry",), b"signature")
    assert isinstance(
        outcome(answering(httpx.Response(200, json=body)), lambda c: c.journal("lane-1", upload)), NoAnswer
    )


@pytest.mark.parametrize("time", ["", "a", "!!!!", "AA==AA", "AA AA", "店", 5, None])
def test_binary_that_is_not_base64url_is_no_answer(time: object) -> None:
    beat: Any = lambda c: c.heartbeat("shoplend", bytes(16), {}, 1)  # noqa: E731
    assert isinstance(outcome(answering(httpx.Response(200, json={"time": time})), beat), NoAnswer)


def test_a_document_must_be_one() -> None:
    cose = {"Content-Type": "application/cose", "ETag": '"7"'}
    ask: Any = lambda c: c.document("policy", "shoplend", None)  # noqa: E731
    assert outcome(answering(httpx.Response(200, content=b"\x84", headers=cose)), ask).etag == '"7"'
    assert isinstance(outcome(answering(httpx.Response(200, content=b"", headers=cose)), ask), NoAnswer)
    assert isinstance(outcome(answering(html(200)), ask), NoAnswer)
    large = httpx.Response(200, content=bytes(client.DOCUMENT_BYTES_MAX + 1), headers=cose)
    assert isinstance(outcome(answering(large), ask), NoAnswer)


@pytest.mark.parametrize("url", ["https://elsewhere.test/layer", "http://backend.test/layer", "//elsewhere.test/layer"])
def test_a_layer_is_fetched_from_the_backend_and_nowhere_else(url: str) -> None:
    async def ask(c: client.BackendClient) -> list[object]:
        return [piece async for piece in c.layer(url, 0)]

    assert isinstance(outcome(answering(httpx.Response(200, content=b"layer")), ask), NotReached)


def test_a_torn_connection_is_told_apart_because_the_same_bytes_may_be_sent_at_once() -> None:
    assert isinstance(outcome(raising(httpx.RemoteProtocolError("disconnected"))), Torn)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
CHECKS = (answers.authorization, answers.settlement, answers.journal, answers.snapshot, answers.heartbeat)


@given(st.dictionaries(st.sampled_from(sorted(APPROVAL)), JSON), st.sampled_from(CHECKS))
@settings(max_examples=150)
def test_no_answer_whatever_gets_past_its_shape_or_cannot_be_handed_on(fields: dict[str, Any], check: Any) -> None:
    try:
        answer = check({**APPROVAL, **fields} if check is answers.authorization else fields)
    except Shapeless:
        return
    cbor.encode(answer)
