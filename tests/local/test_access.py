"""Loopback HTTP lets in whom it knows, and no web page: each row is a request that a browser or a stranger can send."""

import http.client
import json
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from agent.demo.props import free_port
from agent.local import access
from agent.local.access import Caller, Denied, caller_over_http, cookie_of, proof_of
from agent.local.api import TABLE
from agent.local.client import LocalClient
from agent.local.secret import kept_secret, publish_token
from agent.services.events import EVENTS_KEPT
from tests.local.served import SECRET, ServedLane
from tests.services.lanes import Till

PORT = 8700
HOST = {"host": f"127.0.0.1:{PORT}"}
JSON = {"content-type": "application/json"}
TOKEN = {"authorization": f"Bearer {proof_of(Caller.POS, SECRET)}"}
OWN = {"origin": f"http://127.0.0.1:{PORT}"}
AMOUNT = {"minor": 3_000, "currency": "CNY"}


def cookie(caller: Caller) -> dict[str, str]:
    return {"cookie": cookie_of(caller, SECRET).partition(";")[0]}


PAGE = HOST | cookie(Caller.CASHIER)
KNOWN: dict[str, tuple[str, dict[str, str], Caller]] = {
    "a stranger": ("GET", HOST, Caller.NOBODY),
    "by its name": ("GET", {"host": f"LOCALHOST:{PORT}"}, Caller.NOBODY),
    "a POS": ("POST", HOST | TOKEN | JSON, Caller.POS),
    "the page": ("POST", PAGE | OWN | JSON, Caller.CASHIER),
    "the page, reading": ("GET", PAGE | {"sec-fetch-site": "same-origin"}, Caller.CASHIER),
    "the display": ("GET", HOST | cookie(Caller.DISPLAY), Caller.DISPLAY),
    "both pages in one browser": (
        "GET",
        HOST | {"cookie": "; ".join(cookie(who)["cookie"] for who in (Caller.DISPLAY, Caller.CASHIER))},
        Caller.CASHIER,
    ),
    "a cookie of somebody": ("GET", HOST | {"cookie": "counterfoil_cashier=" + "0" * 64}, Caller.NOBODY),
    "a cookie that is none": ("GET", HOST | {"cookie": "counterfoil_cashier=\xff;;=,"}, Caller.NOBODY),
    "a cookie in a token's place": ("GET", HOST | {"cookie": "x=" + proof_of(Caller.POS, SECRET)}, Caller.NOBODY),
}
STRANGERS: dict[str, tuple[str, dict[str, str], int, str]] = {
    "no host": ("GET", {}, 421, "host"),
    "a rebound name": ("GET", {"host": "evil.example"}, 421, "host"),
    "a rebound name with the port": ("GET", {"host": f"evil.example:{PORT}"}, 421, "host"),
    "another port": ("GET", {"host": "127.0.0.1:80"}, 421, "host"),
    "without its port": ("GET", {"host": "127.0.0.1"}, 421, "host"),
    "a name that begins so": ("GET", {"host": f"127.0.0.1:{PORT}.evil.example"}, 421, "host"),
    "another loopback address": ("GET", {"host": f"127.0.0.2:{PORT}"}, 421, "host"),
    "another site's page": ("POST", PAGE | JSON | {"origin": "https://evil.example"}, 403, "origin"),
    "a page without a name": ("POST", PAGE | JSON | {"origin": "null"}, 403, "origin"),
    "another port's page": ("POST", PAGE | JSON | {"origin": "http://127.0.0.1:1"}, 403, "origin"),
    "the other name's page": ("GET", HOST | {"origin": f"http://localhost:{PORT}"}, 403, "origin"),
    "another site's picture": ("GET", PAGE | {"sec-fetch-site": "cross-site"}, 403, "origin"),
    "another port's picture": ("GET", PAGE | {"sec-fetch-site": "same-site"}, 403, "origin"),
    "a page that hides its origin": ("POST", PAGE | JSON, 403, "origin"),
    "a form": ("POST", HOST | TOKEN | {"content-type": "application/x-www-form-urlencoded"}, 415, "media_type"),
    "a plain text": ("POST", HOST | TOKEN | {"content-type": "text/plain; application/json"}, 415, "media_type"),
    "no media type": ("POST", HOST | TOKEN, 415, "media_type"),
    "a wrong token": ("GET", HOST | {"authorization": "Bearer " + "0" * 64}, 401, "token_wrong"),
    "a token that is no text": ("GET", HOST | {"authorization": "Bearer \xff"}, 401, "token_wrong"),
    "another scheme": ("GET", HOST | {"authorization": f"Basic {proof_of(Caller.POS, SECRET)}"}, 401, "token_wrong"),
    "the page's cookie as a token": (
        "GET", HOST | {"authorization": f"Bearer {proof_of(Caller.CASHIER, SECRET)}"}, 401, "token_wrong",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("method", "headers", "caller"), KNOWN.values(), ids=KNOWN)
def test_a_caller_is_known_by_token_or_cookie(method: str, headers: dict[str, str], caller: Caller) -> None:
    assert caller_over_http(method, Headers(headers), PORT, SECRET) is caller


@pytest.mark.parametrize(("method", "headers", "status", "kind"), STRANGERS.values(), ids=STRANGERS)
def test_what_a_web_page_or_a_stranger_can_send_is_turned_away(
    method: str, headers: dict[str, str], status: int, kind: str
) -> None:
    with pytest.raises(Denied) as denied:
        caller_over_http(method, Headers(headers), PORT, SECRET)
    assert (denied.value.status, denied.value.kind) == (status, kind)


def test_two_hosts_are_none() -> None:
    raw = [(b"host", b"127.0.0.1:8700"), (b"host", b"evil.example")]
    with pytest.raises(Denied):
        caller_over_http("GET", Headers(raw=raw), PORT, SECRET)


def test_a_display_reads_and_a_stranger_opens_pages_only() -> None:
    for row in TABLE:
        assert Caller.DISPLAY not in row.who or row.method == "GET", row.path
        assert Caller.NOBODY not in row.who or not row.path.startswith("/v1/") or row.path == "/v1/openapi.json"
        assert Caller.SOCKET in row.who


def test_tokens_differ_by_caller_and_by_lane_and_a_new_secret_ends_the_old_ones(tmp_path: Path) -> None:
    secret = kept_secret(tmp_path / "secret")
    assert kept_secret(tmp_path / "secret") == secret
    assert len({proof_of(caller, key) for caller in Caller for key in (secret, SECRET)}) == 2 * len(Caller)
    assert kept_secret(tmp_path / "secret", new=True) != secret


def test_the_secret_is_the_services_alone_and_the_token_its_groups(tmp_path: Path) -> None:
    publish_token(tmp_path / "token", kept_secret(tmp_path / "secret"))
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("secret", "token")]
    assert modes == [0o600, 0o640]


# -- over a real connection -----------------------------------------------------------------------------------------


class Browser:
    """Whatever asks over loopback HTTP."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: Any = None
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, json.dumps(body) if body is not None else None, dict(headers))
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, json.loads(data), response.headers


@pytest.fixture
def pos(till: Till) -> Iterator[ServedLane]:
    lane = ServedLane(till)
    lane.port = free_port()
    yield lane


def test_a_pos_sells_with_its_token_and_nobody_without(pos: ServedLane) -> None:
    browser, code = Browser(pos.port), pos.till.phone().code()
    sale = {"sale_id": "sale-0001", "amount": AMOUNT, "code": code}

    def story(_: LocalClient) -> None:
        status, problem, headers = browser.ask("POST", "/v1/sales", JSON, sale)
        assert (status, problem["title"]) == (401, "token_required")
        assert headers["WWW-Authenticate"] == "Bearer"
        assert browser.ask("GET", "/v1/events", {})[0] == 401
        status, view, headers = browser.ask("POST", "/v1/sales", JSON | TOKEN, sale)
        assert (status, view["state"]) == (200, "approved")
        assert {name: headers[name] for name in access.ANSWER_HEADERS} == access.ANSWER_HEADERS
        assert "Access-Control-Allow-Origin" not in headers and headers["Server"] is None
        assert browser.ask("OPTIONS", "/v1/sales", TOKEN)[0] in (405, 415)

    pos.tell(story)


def test_a_display_may_look_and_not_touch_and_sees_no_account(pos: ServedLane) -> None:
    browser, code = Browser(pos.port), pos.till.phone().code()
    own = {"origin": f"http://127.0.0.1:{pos.port}"}

    def story(client: LocalClient) -> None:
        client.post("/v1/sales", {"sale_id": "sale-0001", "amount": AMOUNT})
        status, state, _ = browser.ask("GET", "/v1/counter", cookie(Caller.DISPLAY))
        assert (status, set(state), state["sale"]["amount"]) == (
            200,
            {"sale", "last_event_id", "merchant", "currency", "lenders", "training"},
            AMOUNT,
        )
        refused = browser.ask("POST", "/v1/sales", JSON | own | cookie(Caller.DISPLAY), {"amount": AMOUNT})
        assert (refused[0], refused[1]["title"]) == (403, "not_allowed")
        client.post("/v1/sales", {"sale_id": "sale-0001", "amount": AMOUNT, "code": code})
        shown = browser.ask("GET", "/v1/sales/sale-0001", cookie(Caller.DISPLAY))[1]
        assert shown["state"] == "approved"
        assert not {"account", "response_code", "reason"} & set(shown)

    pos.tell(story)


def test_a_page_does_not_reach_what_is_for_the_tools_of_this_computer(pos: ServedLane) -> None:
    own = {"origin": f"http://127.0.0.1:{pos.port}"}

    def story(_: LocalClient) -> None:
        for path in ("/v1/recovery", "/v1/claims", "/v1/journal/verification"):
            assert Browser(pos.port).ask("POST", path, JSON | own | cookie(Caller.CASHIER), {})[0] == 403, path

    pos.tell(story)


def test_it_listens_on_this_computer_alone_and_a_taken_port_keeps_nobody_from_selling(pos: ServedLane) -> None:
    sale = {"sale_id": "sale-0001", "amount": AMOUNT, "code": pos.till.phone().code()}

    def story(client: LocalClient) -> Any:
        assert client.post("/v1/sales", sale)["state"] == "approved"
        return {row["code"]: row["detail"] for row in client.get("/v1/status")["conditions"]}

    with socket.create_server(("127.0.0.1", pos.port)):
        assert pos.tell(story)["http_port"] == f"port {pos.port}: address already in use"
    assert "http_port" not in pos.tell(story)


def test_a_burst_of_a_thousand_events_reaches_a_stream_and_a_larger_one_ends_in_a_reset(pos: ServedLane) -> None:
    def burst(many: int) -> None:
        for number in range(many):
            pos.till.lane.events.publish("queue", {"depth": number})

    def story(_: LocalClient) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", pos.port, timeout=30)
        connection.request("GET", "/v1/events", headers=TOKEN)
        told = (line.decode().split() for line in connection.getresponse())
        kinds = (words[1] for words in told if words[:1] == ["event:"])
        assert next(kinds) == "reset"
        pos.loop.call_soon_threadsafe(burst, EVENTS_KEPT)
        assert {next(kinds) for _ in range(EVENTS_KEPT)} == {"queue"}
        pos.loop.call_soon_threadsafe(burst, EVENTS_KEPT + 1)
        assert next(kinds) == "reset"
        connection.close()

    pos.tell(story)


def test_a_stream_goes_on_where_it_was_lost(pos: ServedLane) -> None:
    def read(after: str | None, many: int) -> list[tuple[str, str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", pos.port, timeout=30)
        connection.request("GET", "/v1/events", headers=TOKEN | ({"Last-Event-ID": after} if after else {}))
        stream, found = connection.getresponse(), []
        while len(found) < many:
            fields = dict(stream.readline().decode().rstrip("\n").split(": ", 1) for _ in range(3))
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
            stream.readline()
        connection.close()
        return found

    def story(client: LocalClient) -> None:
        (first,) = read(None, 1)
        assert first[1] == "reset" and first[2]["sale"] is None and first[2]["lane"]
        client.post("/v1/sales", {"sale_id": "sale-0001", "amount": AMOUNT})
        (second,) = read(first[0], 1)
        assert (second[1], second[2]["state"]) == ("sale", "waiting")
        (other,) = read("elsewhere-1", 1)
        assert (other[1], other[2]["sale"]["sale_id"]) == ("reset", "sale-0001")

    pos.tell(story)
