"""What POS software may send wrong: refused with a sentence that names the field, and nothing is recorded."""

import http.client
import json
from typing import Any

import pytest

from agent.local.client import LocalClient, RequestRefused, _UnixConnection
from tests.cli.lane_on_disk import LaneOnDisk, commanding

GOOD = {"sale_id": "sale-good-1", "amount": {"minor": 100, "currency": "CNY"}}
AMOUNTS: dict[str, tuple[Any, str]] = {
    "zero": (0, "an amount lies between 1 and 9007199254740991 minor units, not 0"),
    "negative": (-100, "an amount lies between 1 and 9007199254740991 minor units, not -100"),
    "too large for JSON": (2**53, "an amount lies between 1 and 9007199254740991 minor units, not 9007199254740992"),
    "enormous": (10**30, "an amount lies between 1 and 9007199254740991 minor units"),
    "float": (128.5, "amount.minor: Input should be a valid integer"),
    "whole float": (128.0, "amount.minor: Input should be a valid integer"),
    "string": ("12800", "amount.minor: Input should be a valid integer"),
    "bool": (True, "amount.minor: Input should be a valid integer"),
    "null": (None, "amount.minor: Input should be a valid integer"),
    "list": ([100], "amount.minor: Input should be a valid integer"),
}
BODIES: dict[str, tuple[bytes, int, str]] = {
    "no JSON": (b"amount=100", 422, "body: Invalid JSON"),
    "not UTF-8": (b'{"sale_id": "\xff\xfe"}', 422, "body: Invalid JSON"),
    "an array": (b"[]", 422, "body: Input should be an object"),
    "nothing": (b"", 422, "amount: Field required"),
    "no amount": (b'{"sale_id": "sale-0001"}', 422, "amount: Field required"),
    "deep": (b'{"amount":' + b"[" * 5000 + b"]" * 5000 + b"}", 422, ""),
    "NaN": (b'{"amount": {"minor": NaN, "currency": "CNY"}}', 422, "amount.minor: "),
    "huge": (b'{"code": "' + b"x" * 70_000 + b'"}', 413, "A request has at most 65536 bytes."),
}


def refused(agent: LocalClient, body: dict[str, Any]) -> str:
    before = agent.get("/v1/status")["journal"]["number"]
    with pytest.raises(RequestRefused) as refusal:
        agent.post("/v1/sales", body)
    assert agent.get("/v1/status")["journal"]["number"] == before
    assert "Traceback" not in json.dumps(refusal.value.problem)
    return refusal.value.message


def raw(shared_lane: LaneOnDisk, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
    connection = _UnixConnection(shared_lane.run_dir / "agent.sock", 10)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    response: http.client.HTTPResponse = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


@pytest.mark.parametrize(("minor", "sentence"), AMOUNTS.values(), ids=AMOUNTS.keys())
def test_an_amount_that_is_no_whole_number_in_range_is_refused(minor: Any, sentence: str, agent: LocalClient) -> None:
    assert refused(agent, GOOD | {"amount": {"minor": minor, "currency": "CNY"}}).startswith(sentence)


@pytest.mark.parametrize(
    ("currency", "sentence"),
    [
        ("USD", "this lane sells in CNY, not in USD"),
        ("cny", "currency must be three capital letters (ISO 4217), not 'cny'"),
        ("¥", "currency must be three capital letters (ISO 4217), not '¥'"),
        (None, "amount.currency: Input should be a valid string"),
    ],
)
def test_another_currency_is_refused(currency: Any, sentence: str, agent: LocalClient) -> None:
    assert refused(agent, GOOD | {"amount": {"minor": 100, "currency": currency}}) == sentence


@pytest.mark.parametrize(
    "sale_id",
    ["", "short", "x" * 37, "with space", "a/b/c/d/e", "../../../etc", "号码号码号码号码", 12345678, "sale-\n001"],
)
def test_a_sale_id_of_another_shape_is_refused_by_name(sale_id: Any, agent: LocalClient) -> None:
    assert refused(agent, GOOD | {"sale_id": sale_id}).startswith("sale_id: ")


@pytest.mark.parametrize(
    ("field", "value"), [("category", "541"), ("category", "५४११"), ("capture", "never"), ("code", "x" * 513)]
)
def test_other_fields_are_refused_by_name(field: str, value: str, agent: LocalClient) -> None:
    assert refused(agent, GOOD | {field: value}).startswith(f"{field}: ")


@pytest.mark.parametrize(("body", "status", "sentence"), BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_no_request_is_refused(
    body: bytes, status: int, sentence: str, agent: LocalClient, shared_lane: LaneOnDisk
) -> None:
    answered, problem = raw(shared_lane, "POST", "/v1/sales", body)
    assert (answered, problem["status"]) == (status, status)
    assert sentence in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/sales/sale-none", 404),
        ("GET", "/v1/sales/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v1/sales/%00", 404),
        ("GET", "/v1/sales/sale-none?wait_s=abc", 404),
        ("POST", "/v1/sales/sale-none/capture", 404),
        ("POST", "/v1/sales/sale-none/reversal", 404),
        ("DELETE", "/v1/sales/sale-none", 405),
        ("GET", "/v1", 404),
        ("GET", "/v1/nothing", 404),
    ],
)
def test_a_request_for_what_is_not_there_is_a_problem_document(
    method: str, path: str, status: int, agent: LocalClient, shared_lane: LaneOnDisk
) -> None:
    answered, problem = raw(shared_lane, method, path, b"{}" if method == "POST" else None)
    assert answered == status
    assert problem["type"].startswith("urn:counterfoil:problem:")


def test_the_same_sale_id_for_another_amount_is_a_conflict_in_words(agent: LocalClient) -> None:
    agent.post("/v1/sales", GOOD)
    with pytest.raises(RequestRefused) as refusal:
        agent.post("/v1/sales", GOOD | {"amount": {"minor": 101, "currency": "CNY"}})
    assert "open with other content" in refusal.value.message
    assert "new sale id for a new sale" in refusal.value.hint


MISTYPED = {
    "sale make 12.80": (2, "invalid int value"),
    "sale make -5": (1, "an amount lies between 1"),
    "sale make 0 --code x": (1, "an amount lies between 1"),
    "sale make 100 --currency EUR": (1, "this lane sells in CNY, not in EUR"),
    "sale show no-such-sale": (1, "This lane knows no sale no-such-sale."),
    "sale show ../status": (1, "There is no GET"),
    "sale capture no-such-sale": (1, "No such sale"),
    "settle --lender nobody": (1, "nobody is not a lender of this lane."),
}


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("words", MISTYPED)
def test_a_mistyped_command_says_what_is_wrong(
    words: str, shared_lane: LaneOnDisk, capsys: pytest.CaptureFixture[str]
) -> None:
    code, sentence = MISTYPED[words]
    said = commanding(shared_lane, capsys)(*words.split())
    assert said.code == code
    assert sentence in said.err
