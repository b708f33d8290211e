"""What no client of ours would send: each is refused in words, no answer is a fault, and the till sells on."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from agent.demo.props import free_port
from agent.local.client import LocalClient
from tests.local.served import ServedLane
from tests.local.test_access import AMOUNT, TOKEN
from tests.services.lanes import Till

ANSWER_S = 20.0


@pytest.fixture
def pos(till: Till) -> Iterator[ServedLane]:
    lane = ServedLane(till)
    lane.port, lane.within_s = free_port(), 60
    yield lane


def told(port: int, raw: bytes, *, half_closed: bool = False) -> bytes:
    """All that comes back until the lane hangs up or is silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as line:
        with suppress(ConnectionError):  # it may have been refused, and hung up, before all of it was sent
            line.sendall(raw)
        if half_closed:
            with suppress(OSError):
                line.shutdown(socket.SHUT_WR)
        said = b""
        try:
            while chunk := line.recv(65_536):
                said += chunk
        except (ConnectionResetError, TimeoutError):
            pass
        return said


def head(port: int, method: str, path: str, *more: str) -> bytes:
    token = TOKEN["authorization"]
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Authorization: {token}", *more, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def sale(port: int, body: bytes, path: str = "/v1/sales") -> bytes:
    length, media = f"Content-Length: {len(body)}", "Content-Type: application/json"
    return head(port, "POST", path, length, media, "Connection: close") + body


GOOD = {"sale_id": "sale-0001", "amount": AMOUNT}
BODIES: dict[str, bytes] = {
    "deep lists": b"[" * 60_000,
    "deep objects": b'{"amount":' * 6_000 + b"1" + b"}" * 6_000,
    "a huge integer": b'{"amount":{"minor":' + b"9" * 50_000 + b',"currency":"CNY"}}',
    "a number that is none": b'{"amount":{"minor":NaN,"currency":"CNY"}}',
    "infinity": b'{"amount":{"minor":Infinity,"currency":"CNY"}}',
    "a huge exponent": b'{"amount":{"minor":1e999999999,"currency":"CNY"}}',
    "half a surrogate": b'{"sale_id":"sale-0001","code":"\\ud800","amount":{"minor":1,"currency":"CNY"}}',
    "half a surrogate as a currency": b'{"amount":{"minor":1,"currency":"\\udfff"}}',
    "bytes that are no UTF-8": b'{"sale_id":"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8","amount":{"minor":1,"currency":"CNY"}}',
    "another encoding": json.dumps(GOOD).encode("utf-16"),
    "no JSON": b"amount=1&currency=CNY",
    "a list": b"[]",
    "null": b"null",
    "a boolean for an amount": b'{"amount":{"minor":true,"currency":"CNY"}}',
    "a NUL in a code": b'{"amount":{"minor":0,"currency":"CNY"},"code":"\\u0000"}',
    "too many bytes": b'{"code":"' + b"x" * 70_000 + b'"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_sale_is_refused_in_words_and_sells_nothing(pos: ServedLane, body: bytes) -> None:
    def story(client: LocalClient) -> None:
        answer = told(pos.port, sale(pos.port, body))
        status = int(answer.split(b" ", 2)[1])
        assert status in (200, 201, 413, 422), answer
        assert b"problem+json" in answer or status < 300, answer
        assert b"Traceback" not in answer
        assert client.get("/v1/sales")["sales"] == [] or b'"declined"' in answer

    pos.tell(story)


def test_a_name_that_stands_twice_does_not_sell_twice(pos: ServedLane) -> None:
    body = b'{"sale_id":"sale-0001","amount":{"minor":1,"minor":2,"currency":"CNY"}}'

    def story(client: LocalClient) -> None:
        told(pos.port, sale(pos.port, body))
        assert client.get("/v1/sales/sale-0001")["amount"]["minor"] == 2

    pos.tell(story)


def requests_of(port: int) -> dict[str, bytes]:
    """Heads and framings in which two programs may see different requests, and paths that lead elsewhere."""
    chunked, json_ = "Transfer-Encoding: chunked", "Content-Type: application/json"
    body = json.dumps(GOOD).encode()
    return {
        "two lengths": head(port, "POST", "/v1/sales", "Content-Length: 1", f"Content-Length: {len(body)}", json_)
        + body,
        "length and chunks": head(port, "POST", "/v1/sales", f"Content-Length: {len(body)}", chunked, json_)
        + b"0\r\n\r\n",
        "a length below zero": head(port, "POST", "/v1/sales", "Content-Length: -1", json_) + body,
        "a length with a sign": head(port, "POST", "/v1/sales", f"Content-Length: +{len(body)}", json_) + body,
        "an unknown coding": head(port, "POST", "/v1/sales", "Transfer-Encoding: gzip, chunked", json_) + b"0\r\n\r\n",
        "a chunk without a size": head(port, "POST", "/v1/sales", chunked, json_) + b"zz\r\n{}\r\n0\r\n\r\n",
        "a head over several lines": head(port, "POST", "/v1/sales", "X: a", " b: c", chunked, json_) + b"0\r\n\r\n",
        "a bare line feed": head(port, "GET", "/v1/sales").replace(b"\r\n", b"\n"),
        "another version": head(port, "GET", "/v1/sales").replace(b"HTTP/1.1", b"HTTP/9.9"),
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        "a giant head": head(port, "GET", "/v1/sales", "X: " + "x" * 100_000),
        "many heads": head(port, "GET", "/v1/sales", *(f"X{n}: {n}" for n in range(5_000))),
        "a giant path": head(port, "GET", "/v1/sales/" + "x" * 60_000),
        "a way up": head(port, "GET", "/page/../../../../etc/passwd", "Connection: close"),
        "a coded way up": head(port, "GET", "/page/..%2f..%2fsecret", "Connection: close"),
        "a NUL in a path": head(port, "GET", "/page/cashier.html%00.js", "Connection: close"),
        "a whole address": head(port, "GET", "http://evil.example/v1/sales", "Connection: close"),
        "a tunnel": head(port, "CONNECT", "evil.example:443", "Connection: close"),
        "no method of ours": head(port, "TRACE", "/v1/sales", "Connection: close"),
        "an upgrade": head(port, "GET", "/v1/sales", "Upgrade: websocket", "Connection: Upgrade, close"),
    }


@pytest.mark.parametrize("name", requests_of(0))
def test_a_request_that_two_programs_may_read_in_two_ways_sells_nothing(pos: ServedLane, name: str) -> None:
    def story(client: LocalClient) -> None:
        answer = told(pos.port, requests_of(pos.port)[name], half_closed=True)
        assert not answer.startswith(b"HTTP/1.1 5") and b"Traceback" not in answer and b"root:" not in answer, answer
        assert answer.count(b"HTTP/1.1 ") <= 1, "one request, one answer"
        assert client.get("/v1/sales")["sales"] == [] and client.get("/v1/counter")["sale"] is None

    pos.tell(story)


def test_pipelined_requests_are_answered_in_their_order_each_once(pos: ServedLane) -> None:
    def story(_: LocalClient) -> None:
        body = json.dumps(GOOD).encode()
        first = head(pos.port, "POST", "/v1/sales", f"Content-Length: {len(body)}", "Content-Type: application/json")
        last = head(pos.port, "GET", "/v1/sales/sale-0009", "Connection: close")
        answer = told(pos.port, first + body + head(pos.port, "GET", "/v1/sales/sale-0001") + last)
        statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [201, 200, 404]

    pos.tell(story)


@pytest.mark.parametrize("after", ["", "-1", "x" * 4_000, "0-0", "%00", "\xff", "'; --", "9" * 400])
def test_a_last_event_id_that_names_nothing_begins_with_a_reset(pos: ServedLane, after: str) -> None:
    def story(_: LocalClient) -> None:
        with socket.create_connection(("127.0.0.1", pos.port), timeout=ANSWER_S) as line:
            line.sendall(head(pos.port, "GET", "/v1/events", f"Last-Event-ID: {after}"))
            said = b""
            while b"event: " not in said:
                chunk = line.recv(4_096)
                assert chunk, said
                said += chunk
            assert b"event: reset" in said

    pos.tell(story)


def test_two_tills_with_one_sale_id_and_two_amounts_are_one_sale_and_a_refusal_through_a_restart(
    pos: ServedLane,
) -> None:
    code = pos.till.phone().code()

    def asked(minor: int) -> int:
        amount = {"minor": minor, "currency": "CNY"}
        body = json.dumps({"sale_id": "sale-0001", "amount": amount, "code": code}).encode()
        return int(told(pos.port, sale(pos.port, body)).split(b" ", 2)[1])

    assert pos.tell(lambda _: [asked(3_000), asked(3_001), asked(3_000)]) == [200, 409, 200]
    pos.till.restart()
    assert pos.tell(lambda _: [asked(3_000), asked(3_001)]) == [200, 409]
    assert len(pos.till.entries("authorization")) == 1
